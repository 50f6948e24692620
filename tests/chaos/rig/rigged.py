"""`emotag run` with a device that fails on purpose. Only tests start it.

RIG=slow:8 python -m tests.chaos.rig.rigged            every batch takes 8 seconds longer
RIG=memory:8                                       runs out of memory with more than 8 texts
RIG=text:7592                                      fails on every text that contains this token
RIG=nan:7592                                       returns NaN for every text that contains this token
RIG=gone:3                                         works three times, then fails every time
RIG=stuck:3                                        works three times, then does not return
"""

import os
import sys
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

VARIABLE = "RIG"


def main() -> None:
    """Rig the device, then run the command."""
    what, _, number = os.environ[VARIABLE].partition(":")
    _rig(what, int(number))
    from emotag_worker.cli import main as run

    sys.argv[1:] = ["run"]
    run()


def _rig(what: str, number: int) -> None:
    from emotag_model.engines.openvino_engine import OpenVinoEngine

    inner = OpenVinoEngine.probabilities
    calls = 0

    def probabilities(self: OpenVinoEngine, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        nonlocal calls
        calls += 1
        guilty = [number in row for row in rows]
        if what == "slow" and len(rows) > 1:  # not the single text that tests whether the device works
            time.sleep(number)
        if what == "memory" and len(rows) > number:
            raise MemoryError(f"{len(rows)} texts")
        if what == "text" and any(guilty):
            raise RuntimeError("no such thing as this text")
        if what == "gone" and calls > number:
            raise RuntimeError("the device fell off the bus")
        if what == "stuck" and calls > number:
            time.sleep(3600)
        found_BK = inner(self, rows)
        if what == "nan":
            found_BK[guilty] = np.nan
        return found_BK

    OpenVinoEngine.probabilities = probabilities  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
