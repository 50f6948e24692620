"""Handle Ctrl-C, `kill` and a closing terminal: the run writes its checkpoint after the current batch and ends.

A second signal ends the run at once. A run outside the main thread handles no signals, because Python allows handlers
only in that thread.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """A context in which the first SIGINT, SIGTERM or SIGHUP only sets a flag. SIGHUP stays ignored under nohup."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return True after a signal."""
        return self._asked

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hears_hangup else [])):
            self._before[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
