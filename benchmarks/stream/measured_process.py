"""A process that works in a lane: a worker as an operator runs it, or a competitor."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker
from emotag_worker.local.server import LocalServer

from .competitors.job import Job
from .lane import PASSIVE, Lane, Outcome

PIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execv(sys.argv[2], sys.argv[2:])"
"""Pins itself to one core and executes the command in the arguments, whose threads inherit the pinning."""


class PinnedWorker(LocalWorker):
    """`emotag run` on one core.

    Args:
        core: by default the last one, because interrupts mostly go to the first.
    """

    def __init__(self, environment: Mapping[str, str], *, core: int | None = None) -> None:
        super().__init__(environment)
        self._core = max(os.sched_getaffinity(0)) if core is None else core

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-c", PIN, str(self._core), *super()._build_command()]


class StreamCompetitor(LocalServer):
    """A module of `benchmarks.stream.competitors` as a process. It is ready when its lane has the first results."""

    name = "competitor"

    def __init__(self, module: str, job: Job, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._module = module
        self._job = job

    def move(self) -> None:
        """Do nothing: it does not listen on a port."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", f"benchmarks.stream.competitors.{self._module}", self._job.argument()]

    def _build_environment(self) -> Mapping[str, str] | None:
        # Its state folders are next to its log.
        return {**os.environ, **PASSIVE, "Quix__State__Dir": str(self.folder / "state")}

    def is_ready(self) -> bool:
        return True


@dataclass(frozen=True)
class MeasuredProcess:
    """A process and its lane."""

    name: str
    server: LocalServer
    lane: Lane

    def warm(self, texts: Sequence[str]) -> None:
        """Process *texts*. Afterwards the model is loaded, the group is joined and the kernels are compiled.

        Raises:
            LocalError: no results came; the message contains the end of its log.
        """
        outcome = self.lane.await_results(self.lane.fill(texts), began=time.monotonic())
        if outcome.lost:
            raise LocalError(
                f"{self.name}: no results for {outcome.lost} of {outcome.messages} messages. "
                f"Its log ends with: {self.server.read_log_tail().splitlines()[-1:]}"
            )

    def run(self, texts: Sequence[str]) -> tuple[Outcome, float]:
        """Process *texts*. All of them are in the topic before the process starts to read.

        Returns:
            The outcome, and the processor seconds of the process.
        """
        self.server.pause()
        ids = self.lane.fill(texts)
        spent_s = read_processor_seconds(self.server.pid)
        began = time.monotonic()
        self.server.resume()
        outcome = self.lane.await_results(ids, began=began)
        return outcome, read_processor_seconds(self.server.pid) - spent_s

    def close(self) -> None:
        """End the process and close the lane."""
        self.server.kill()
        self.server.close()
        self.lane.close()


def read_processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process so far, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB (10^6 bytes): `VmHWM` its maximum, `RssFile` its mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LocalError(f"process {pid} has ended")
