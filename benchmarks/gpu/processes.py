"""Several worker processes that share the device, with and without NVIDIA's Multi-Process Service (MPS).

Without MPS, a GPU switches between processes; with it, kernels of several processes run at the same time. All processes
are started before the first round, and the ones that a comparison does not need wait.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Timer

from benchmarks.measurements import Measurements
from benchmarks.results import Row

from .parts import FOLDERS, ROOT
from .subject import Subject

TABLE = "processes"
COUNTS = (1, 2, 4, 8)
BATCH, TEXTS = 2_048, 16_384
ROUND_S = 2.0

START_S, WORK_S = 75.0, 150.0
"""Longest start of a process, and the longest time that it may live afterwards: a process that hangs must not stop the
other parts. The second limit is above the time of all rounds."""

MPS = "nvidia-cuda-mps-control"


class ProcessEnded(Exception):
    """A process ended early; its own error is on stderr."""


def measure(subject: Subject) -> list[Row]:
    """Return messages per second of all processes together, by their number.

    Raises:
        ProcessEnded: a process without MPS failed or hung.
    """
    counts = COUNTS[:2] if subject.quick else COUNTS
    with ExitStack() as stack:
        lanes = {"": stack.enter_context(_start(subject, counts[-1], {}))}
        if subject.on_gpu:
            try:
                lanes[" with MPS"] = stack.enter_context(_start_with_mps(subject, counts[-1]))
            except (OSError, subprocess.SubprocessError, ProcessEnded) as error:
                subject.missing.append(f"processes with MPS: {error}")
        rounds = {
            f"{count} process{'es' * (count > 1)}{with_mps}": partial(_run_round, lane[:count], quick=subject.quick)
            for count in counts
            for with_mps, lane in lanes.items()
        }
        rates = Measurements(TABLE, "messages/s")
        rates.interleave(rounds, rounds=3 if subject.quick else 5, pause_s=0.0)
    return rates.rows(against="1 process", notes={})


class _Process:
    """A process of `host_process`."""

    def __init__(self, subject: Subject, environment: dict[str, str]) -> None:
        sizes = (4, 2) if subject.quick else (TEXTS, BATCH)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.host_process", subject.device, *map(str, sizes)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._limit(START_S)

    def expect_ready(self) -> None:
        """Wait until the process is ready."""
        self._read()
        self._killer.cancel()
        self._limit(WORK_S)

    def begin(self, seconds: float) -> None:
        """Let the process work for some *seconds*."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def read_rate(self) -> float:
        """Return the messages per second of the work that `begin` began."""
        return float(self._read())

    def close(self) -> None:
        """End the process."""
        self._killer.cancel()
        self._process.kill()
        self._process.communicate()

    def _limit(self, seconds: float) -> None:
        self._killer = Timer(seconds, self._process.kill)
        self._killer.start()

    def _read(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        raise ProcessEnded(f"a process ended early, with exit status {self._process.wait()}")


def _run_round(processes: Sequence[_Process], *, quick: bool) -> float:
    for process in processes:
        process.begin(0.05 if quick else ROUND_S)
    return sum([process.read_rate() for process in processes])


@contextmanager
def _start(subject: Subject, count: int, environment: dict[str, str]) -> Iterator[list[_Process]]:
    """Yield processes that are ready."""
    processes = [_Process(subject, environment) for _ in range(count)]
    try:
        for process in processes:
            process.expect_ready()
        yield processes
    finally:
        for process in processes:
            process.close()


@contextmanager
def _start_with_mps(subject: Subject, count: int) -> Iterator[list[_Process]]:
    """Run the daemon of MPS, and yield processes that use it. Processes without its environment do not."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        control = partial(subprocess.run, env={**os.environ, **environment}, check=True, timeout=30, text=True)
        control([MPS, "-d"])
        try:
            with _start(subject, count, environment) as processes:
                yield processes
        finally:
            control([MPS], input="quit\n")
