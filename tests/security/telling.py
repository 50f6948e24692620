"""`emotag run` on a device that fails on some texts and quotes them in its error. Only tests start it.

TELLS="some text" python -m tests.security.telling        fails on every text with "hello" in it
"""

import os
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emotag_worker.local import LocalWorker

VARIABLE = "TELLS"
HELLO = 7592
"""The token of "hello"."""


class TellingWorker(LocalWorker):
    """A worker with this device."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.security.telling"]


def main() -> None:
    """Make the device fail, then run the command."""
    from emotag_model.engines.openvino_engine import OpenVinoEngine
    from emotag_worker.cli import main as run

    inner = OpenVinoEngine.probabilities

    def probabilities(self: OpenVinoEngine, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        if any(HELLO in row for row in rows):
            raise RuntimeError(f"cannot compute {os.environ[VARIABLE]}")
        return inner(self, rows)

    OpenVinoEngine.probabilities = probabilities  # type: ignore[method-assign]
    sys.argv[1:] = ["run"]
    run()


if __name__ == "__main__":
    main()
