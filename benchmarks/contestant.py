"""A process that works in a lane: a worker as an operator runs it, or a rival."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.local import LocalWorker
from worker.local.server import LocalError, LocalServer

from .lane import Lane, Outcome
from .rivals.job import Job
from .threads import PASSIVE

PIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execv(sys.argv[2], sys.argv[2:])"
"""Takes one core for itself and becomes the command that follows: every thread of it inherits that."""


class PinnedWorker(LocalWorker):
    """`emotag run` on one core.

    Args:
        core: which; the last one where none is given, for interrupts mostly go to the first.
    """

    def __init__(self, environment: Mapping[str, str], *, core: int | None = None) -> None:
        super().__init__(environment)
        self._core = max(os.sched_getaffinity(0)) if core is None else core

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-c", PIN, str(self._core), *super()._command()]


class Rival(LocalServer):
    """A module of `benchmarks.rivals` as a process. It is ready once its first answers are there, which a lane sees."""

    name = "rival"

    def __init__(self, module: str, job: Job, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._module = module
        self._job = job

    def move(self) -> None:
        """It listens on no port."""

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", f"benchmarks.rivals.{self._module}", self._job.argument()]

    def _process_environment(self) -> Mapping[str, str] | None:
        # Its state folders go where its log is.
        return {**os.environ, **PASSIVE, "Quix__State__Dir": str(self.folder / "state")}

    def answers(self) -> bool:
        return True


@dataclass(frozen=True)
class Contestant:
    """One process and its lane."""

    name: str
    server: LocalServer
    lane: Lane

    def warm(self, texts: Sequence[str]) -> None:
        """Wait until it has answered *texts*: by then its model is loaded, its group joined, its kernels compiled.

        Raises:
            LocalError: it does not answer; carries the end of its log.
        """
        outcome = self.lane.await_answers(self.lane.fill(texts), began=time.monotonic())
        if outcome.lost:
            raise LocalError(
                f"{self.name} answers nothing; its log ends with: {self.server.log_tail().splitlines()[-1:]}"
            )

    def run(self, texts: Sequence[str]) -> tuple[Outcome, float]:
        """Answer *texts*, which lie there in full when it begins to read.

        Returns:
            The outcome, and the processor seconds that its process spent.
        """
        self.server.pause()
        ids = self.lane.fill(texts)
        spent_s = processor_seconds(self.server.pid)
        began = time.monotonic()
        self.server.resume()
        outcome = self.lane.await_answers(ids, began=began)
        return outcome, processor_seconds(self.server.pid) - spent_s

    def close(self) -> None:
        """End the process and let the lane go."""
        self.server.kill()
        self.server.close()
        self.lane.close()


def processor_seconds(pid: int) -> float:
    """What a process has spent so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """A process's resident memory in MB of a million bytes; `VmHWM` at its highest, `RssFile` that of mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LocalError(f"process {pid} has ended")
