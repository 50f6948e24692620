"""How fast cores multiply matrices, alone and at the same time: what more workers could bring at best.

Two cores of a virtual machine may be two threads of one, or share a clock and a cache: then two give less than twice.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from .ceiling import SIZES, matmul_rate
from .contestant import PIN

SECONDS = 2.0


class PinnedCeiling:
    """A process with one thread on one core, which multiplies when it is told to."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PIN, str(core), sys.executable, "-m", __name__],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        """Multiply for `SECONDS`, from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def rate(self) -> float:
        """Operations per second of what was begun, once it has ended."""
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # its loop ends with its input
        self._process.wait()


def together(ceilings: Sequence[PinnedCeiling]) -> float:
    """Operations per second of all of them at the same time, added up."""
    for each in ceilings:
        each.begin()
    return sum(each.rate() for each in ceilings)


def main() -> None:
    for _ in sys.stdin:
        print(matmul_rate("fp32", seconds=SECONDS, sizes=SIZES[:1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
