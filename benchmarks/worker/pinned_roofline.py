"""The rate at which cores multiply matrices, alone and at the same time: the upper limit of scaling by workers.

Two cores of a virtual machine may be two threads of one core, or share a clock and a cache. Then two cores have less
than twice the rate.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from benchmarks.engine.roofline import SIZES, measure_fastest_matmul_rate
from benchmarks.stream.measured_process import PIN

SECONDS = 0.5
"""Spent on each library."""


class PinnedRoofline:
    """A process with one thread on one core that multiplies matrices on request."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PIN, str(core), sys.executable, "-m", __name__],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        """Start to multiply, for `SECONDS` with each library."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait(self) -> float:
        """Wait for the end. Return the operations per second."""
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # ends its loop
        self._process.wait()


def measure_together(rooflines: Sequence[PinnedRoofline]) -> float:
    """Run all at the same time. Return the sum of their operations per second."""
    for each in rooflines:
        each.begin()
    return sum(each.wait() for each in rooflines)


def main() -> None:
    for _ in sys.stdin:
        print(measure_fastest_matmul_rate("fp32", seconds=SECONDS, sizes=SIZES[:1]).clock, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
