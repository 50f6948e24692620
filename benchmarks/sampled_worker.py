"""`emotag run` with its main thread looked at every two milliseconds: where the time of a message goes.

A sample counts for the innermost function of this project on the stack, with whatever that calls in C or in a library.
Looked at from within by a timer's signal: no debugger's rights, and nothing slows down between two looks.
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

from worker.local import LocalWorker

EVERY_S = 0.002
ROOMS = ("worker.", "model.", "schemas.")


class SampledWorker(LocalWorker):
    """A worker that can be asked what it spends its time on."""

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", __name__, str(self._samples)]

    @property
    def _samples(self) -> Path:
        return self.folder / "samples.json"

    def begin(self) -> None:
        """Sample from now on."""
        self._signal(signal.SIGUSR1)

    def found(self) -> dict[str, float]:
        """Stop sampling; the share of the time that each function had."""
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

    def look(_: int, frame: FrameType | None) -> None:
        counts[_place(frame)] += 1

    def begin(*_: object) -> None:
        counts.clear()
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    def end(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(counts), encoding="utf-8")
        unfinished.rename(path)

    signal.signal(signal.SIGALRM, look)
    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    from worker.cli import main as run

    sys.argv[1:] = ["run"]
    run()


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(ROOMS):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "elsewhere"


if __name__ == "__main__":
    main()
