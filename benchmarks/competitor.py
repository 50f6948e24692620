"""A way to run the model, in a process of its own: libraries that share one set each other's threads, and spin."""

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

from model import artifact
from model.device import instructions, usable_cores
from model.tokens import TokenIds

from .exports import Exports
from .rivals import Probabilities, Setting

READY_S = 240.0
"""Longest time for a competitor to export the model, load it and choose how it is fastest."""

RUN_S = 600.0
"""Longest run: what takes ten minutes for some thousand texts has stopped."""

ENDING_S = 30.0
"""How long the end of its process is waited for."""

ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}
"""Nothing is fetched, and tokenizers may use all cores though they were imported before the process was forked."""


class Unable(Exception):
    """A competitor that cannot run here, and why."""


@dataclass(frozen=True)
class Sample:
    """What a competitor warms up with, and chooses its batch size on."""

    tokens: Sequence[TokenIds]
    texts: Sequence[str]


class Competitor:
    """One module's `build`, called in a process of its own, which then waits to be asked.

    Attributes:
        module: in this package.
        name, takes, note: as in `Rival`, once `wait` has returned.
    """

    name: str
    takes: str
    note: str

    def __init__(self, module: str, sample: Sample, *, quick: bool) -> None:
        self.module = module
        context = server()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, module, sample, quick), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Until it is ready.

        Raises:
            Unable: it cannot run here.
        """
        self.name, self.takes, self.note = self._answer(READY_S)

    def run(self, tokens: Sequence[TokenIds], texts: Sequence[str]) -> tuple[Probabilities, float]:
        """Probabilities [B, K], and the seconds they took; of the two it takes what it needs.

        Raises:
            Unable: its process failed.
        """
        self._connection.send(tokens if self.takes == "tokens" else texts)
        found: tuple[Probabilities, float] = self._answer(RUN_S)
        return found

    def close(self) -> None:
        """End its process."""
        self._connection.close()
        self._process.join(ENDING_S)
        self._process.kill()

    def _answer(self, patience_s: float) -> Any:
        try:
            answer = self._connection.recv() if self._connection.poll(patience_s) else Unable("it took too long")
        except EOFError:
            self._process.join(ENDING_S)
            answer = Unable(f"its process ended with exit code {self._process.exitcode}")
        if isinstance(answer, Unable):
            self.close()
            raise answer
        return answer


def server() -> ForkServerContext:
    """Where processes come from: one that has imported what takes long, and has run nothing yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.competitor"])
    return context


def _serve(connection: Connection, module: str, sample: Sample, quick: bool) -> None:
    """In the process: build, then run what comes until nothing more does."""
    import torch

    os.environ.update(ENVIRONMENT)
    cores = usable_cores()
    torch.set_num_threads(cores)
    try:
        exports = Exports(artifact.load(artifact.DEFAULT))
        setting = Setting(exports, sample.tokens, sample.texts, cores, instructions(), quick)
        rival = importlib.import_module(f"{__package__}.{module}").build(setting)
        connection.send((rival.name, rival.takes, rival.note))
    except BaseException as error:  # whatever it is, it is why this one is missing  # noqa: BLE001
        traceback.print_exc()
        connection.send(Unable(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"))
        return
    try:
        while True:
            inputs = connection.recv()
            began = time.perf_counter()
            found = rival.run(inputs)
            connection.send((found, time.perf_counter() - began))
    except EOFError:
        rival.close()
