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
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

from emotag_model import artifact
from emotag_model.engines.device import count_usable_cores, list_instructions
from emotag_model.tokens import TokenIds

from .competitors import Probabilities, Setting
from .competitors.exports import Exports

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


class CompetitorProcess:
    """A process that builds a competitor and then runs it on request.

    Args:
        module: in `benchmarks.engine.competitors`; its function `build`, unless another one follows a colon.

    Attributes:
        name, takes, note: as in `Competitor`, once `wait` has returned.
    """

    name: str
    takes: str
    note: str

    def __init__(self, module: str, sample: Sample, *, quick: bool) -> None:
        self.module = module
        context = _fork_server()
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=_serve, args=(remote, module, sample, quick), daemon=True)
        self._process.start()
        remote.close()

    def wait(self) -> None:
        """Wait until the competitor is ready.

        Raises:
            CompetitorFailed: it cannot run here.
        """
        self.name, self.takes, self.note = self._receive(READY_S)

    def run(self, tokens: Sequence[TokenIds], texts: Sequence[str]) -> tuple[Probabilities, float]:
        """Return probabilities [B, K] and the seconds that they took. The competitor gets tokens or texts, as it takes.

        Raises:
            CompetitorFailed: the process failed.
        """
        self._connection.send(tokens if self.takes == "tokens" else texts)
        result: tuple[Probabilities, float] = self._receive(RUN_S)
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


def build(module: str, setting: Setting) -> Any:
    """Return the `Competitor` that *module* builds, as `CompetitorProcess` names it."""
    name, _, function = module.partition(":")
    return getattr(importlib.import_module(f"{__package__}.competitors.{name}"), function or "build")(setting)


def _serve(connection: Connection, module: str, sample: Sample, quick: bool) -> None:
    """Build the competitor, then run it on each input until the connection closes."""
    import torch

    os.environ.update(ENVIRONMENT)
    cores = count_usable_cores()
    torch.set_num_threads(cores)
    try:
        exports = Exports(artifact.load(artifact.DEFAULT))
        competitor = build(module, Setting(exports, sample.tokens, sample.texts, cores, list_instructions(), quick))
        connection.send((competitor.name, competitor.takes, competitor.note))
    except BaseException as error:  # any error is a reason why this competitor is missing  # noqa: BLE001
        traceback.print_exc()
        connection.send(CompetitorFailed(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"))
        return
    with contextlib.suppress(EOFError):
        while True:
            inputs = connection.recv()
            began = time.perf_counter()
            probabilities_BK = competitor.run(inputs)
            connection.send((probabilities_BK, time.perf_counter() - began))
