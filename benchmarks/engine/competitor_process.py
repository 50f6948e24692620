"""A competitor in its own process.

In one process, libraries change each other's thread settings, and their threads spin while another one runs.
The process starts from a fork server that has imported the slow libraries and has run nothing yet.
"""

import contextlib
import importlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

from emotag_model import artifact
from emotag_model.engines.device import count_usable_cores, list_instructions
from emotag_model.tokens import TokenIds

from .competitors import Competitor, Probabilities, Setting
from .competitors.exports import Exports
from .limits import NONE, Limit

READY_S = 240.0
"""Longest time for a competitor to export the model, load it and choose its fastest configuration."""

RUN_S = 600.0
"""Longest run: a competitor that needs ten minutes for some thousand texts has stopped."""

EXIT_S = 30.0
"""Longest wait for the process to end before it is killed."""

ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}
"""Nothing is downloaded, and tokenizers may use all cores although they were imported before the fork."""


class CompetitorFailed(Exception):
    """A competitor cannot run here. The message is the cause."""


@dataclass(frozen=True)
class Sample:
    """Texts to warm up with and to choose a batch size on."""

    tokens: Sequence[TokenIds]
    texts: Sequence[str]


@dataclass(frozen=True)
class Timed:
    """A result, and the time that it took.

    Attributes:
        probabilities_BK: of the last pass.
        seconds: of one pass, on average over all passes.
        spent_s: processor seconds of one pass, all threads together.
    """

    probabilities_BK: Probabilities
    seconds: float
    spent_s: float


class CompetitorProcess:
    """A process that builds a competitor and then runs it on request.

    Args:
        module: in `benchmarks.engine.competitors`; its function `build`, unless another one follows a colon, and after
            more colons that function's arguments: `emotag:build_engine:openvino:int8`.
        limit: of the instruction set, in that process.

    Attributes:
        name, takes, note, configuration: as in `Competitor`, once `wait` has returned.
    """

    name: str
    takes: str
    note: str
    configuration: str

    def __init__(self, module: str, sample: Sample, *, quick: bool, limit: Limit = NONE) -> None:
        self.module = module
        context = _fork_server()
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=_serve, args=(remote, module, sample, quick, limit), daemon=True)
        self._process.start()
        remote.close()

    def wait(self) -> None:
        """Wait until the competitor is ready.

        Raises:
            CompetitorFailed: it cannot run here.
        """
        self.name, self.takes, self.note, self.configuration = self._receive(READY_S)

    def run(self, tokens: Sequence[TokenIds], texts: Sequence[str], *, least_s: float = 0.0) -> Timed:
        """Run the competitor on all texts, as often as *least_s* takes. It gets tokens or texts, as it takes.

        Raises:
            CompetitorFailed: the process failed.
        """
        self._connection.send((tokens if self.takes == "tokens" else texts, least_s))
        result: Timed = self._receive(RUN_S)
        return result

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(EXIT_S)
        self._process.kill()

    def _receive(self, timeout_s: float) -> Any:
        try:
            if self._connection.poll(timeout_s):
                message = self._connection.recv()
            else:
                message = CompetitorFailed(f"no result within {timeout_s:.0f} s")
        except EOFError:
            self._process.join(EXIT_S)
            message = CompetitorFailed(f"its process ended with exit code {self._process.exitcode}")
        if isinstance(message, CompetitorFailed):
            self.close()
            raise message
        return message


def _fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def build(module: str, setting: Setting) -> Competitor:
    """Return what *module* builds, as `CompetitorProcess` names it."""
    name, *function = module.split(":")
    call = getattr(importlib.import_module(f"{__package__}.competitors.{name}"), function[0] if function else "build")
    built: Competitor = call(setting, *function[1:])
    return built


def make_setting(sample: Sample, *, quick: bool, configuration: str = "") -> Setting:
    """Return the setting of a competitor that may use this whole machine, and prepare this process for it."""
    import torch

    os.environ.update(ENVIRONMENT)
    cores = count_usable_cores()
    torch.set_num_threads(cores)
    exports = Exports(artifact.load(artifact.DEFAULT))
    return Setting(exports, sample.tokens, sample.texts, cores, list_instructions(), quick, configuration)


def measure_passes(run: Callable[[Any], Probabilities], inputs: Any, *, least_s: float) -> Timed:
    """Call *run* at least once, and until *least_s* have passed."""
    passes, began, spent_s = 0, time.perf_counter(), time.process_time()
    while True:
        probabilities_BK = run(inputs)
        passes += 1
        taken_s = time.perf_counter() - began
        if taken_s >= least_s:
            return Timed(probabilities_BK, taken_s / passes, (time.process_time() - spent_s) / passes)


def _serve(connection: Connection, module: str, sample: Sample, quick: bool, limit: Limit) -> None:
    """Build the competitor, then run it on each input until the connection closes."""
    with limit.apply():
        try:
            competitor = build(module, make_setting(sample, quick=quick))
            connection.send((competitor.name, competitor.takes, competitor.note, competitor.configuration))
        except BaseException as error:  # any error is a reason why this competitor is missing  # noqa: BLE001
            traceback.print_exc()
            reason = str(error).splitlines()[0] if str(error) else ""
            connection.send(CompetitorFailed(f"{type(error).__name__}: {reason}"))
            return
        with contextlib.suppress(EOFError):
            while True:
                inputs, least_s = connection.recv()
                connection.send(measure_passes(competitor.run, inputs, least_s=least_s))
