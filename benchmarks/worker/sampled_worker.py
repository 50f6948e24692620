"""`emotag run` with a sampling profiler that looks at its main thread every two milliseconds.

A sample counts for the innermost function of this project on the stack, including the C and library code that it calls.
A timer signal takes the samples inside the process: this needs no debugger's rights and costs nothing between samples.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from emotag_worker.local import LocalWorker

INTERVAL_S = 0.002
PACKAGES = ("emotag_worker.", "emotag_model.", "emotag_schemas.")


class SampledWorker(LocalWorker):
    """A worker that reports where its main thread spends its time."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", __name__, str(self._samples)]

    @property
    def _samples(self) -> Path:
        return self.folder / "samples.json"

    def begin(self) -> None:
        """Start sampling."""
        self._signal(signal.SIGUSR1)

    def end(self) -> dict[str, float]:
        """Stop sampling. Return each function's share of the time."""
        self._signal(signal.SIGUSR2)
        give_up_at = time.monotonic() + 5
        while not self._samples.is_file() and time.monotonic() < give_up_at:
            time.sleep(0.02)
        counts: dict[str, int] = json.loads(self._samples.read_text(encoding="utf-8"))
        total = sum(counts.values())
        return {name: count / total for name, count in counts.items()}

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


def main() -> None:
    path = Path(sys.argv[1])
    counts: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        counts[_find_function(frame)] += 1

    def begin(*_: object) -> None:
        counts.clear()
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)

    def end(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(counts), encoding="utf-8")
        unfinished.rename(path)

    signal.signal(signal.SIGALRM, sample)
    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    from emotag_worker.cli import main as run

    sys.argv[1:] = ["run"]
    run()


def _find_function(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(PACKAGES):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "elsewhere"


if __name__ == "__main__":
    main()
