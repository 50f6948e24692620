"""The life of the process: signals, the drain budget, and what the probes are told."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from .telemetry import Telemetry

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

DRAIN_FAILED = 1
"""Exit code where the drain budget was not enough."""


class Lifecycle:
    """When to stop, and whether all is well.

    Args:
        drain_s: longest time from the first signal to the exit.
        stuck_s: a round of the pipeline that takes longer is stuck. Above every deadline the round itself keeps, so
            that those end the process first, with a better message.
    """

    def __init__(self, *, drain_s: float, stuck_s: float, telemetry: Telemetry) -> None:
        self.stop = threading.Event()
        self._drain_s = drain_s
        self._stuck_s = stuck_s
        self._telemetry = telemetry
        self._started = False
        self._last_round = time.monotonic()
        self._ready: Callable[[], bool] = lambda: False

    def watch_signals(self) -> None:
        """SIGTERM or SIGINT drains; a second one ends at once, and so does the end of the drain budget.

        A thread acts on them: a Python handler would have to wait for the main thread to come out of librdkafka or
        torch. It hears of them through a socket that the interpreter writes to at once, whichever thread was hit.
        """
        heard, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # without a handler the default one would end the process
        threading.Thread(target=self._await_signals, args=(heard, told), name="signals", daemon=True).start()

    def started(self, *, ready: Callable[[], bool]) -> None:
        """The model is loaded, all is built; *ready* says from now on whether records can flow."""
        self._ready = ready
        self._started = True
        self.alive()

    def alive(self) -> None:
        """One more round was done."""
        self._last_round = time.monotonic()

    def probe(self, path: str) -> bool | None:
        """What a probe is told: well or not; None where there is no such probe."""
        match path:
            case "/livez":
                return not self._started or time.monotonic() - self._last_round < self._stuck_s
            case "/startupz":
                return self._started
            case "/readyz":
                return self._started and not self.stop.is_set() and self._ready()
        return None

    def _await_signals(self, heard: socket.socket, told: socket.socket) -> None:
        first = self._next_signal(heard)
        self._telemetry.drain_started(signal.Signals(first).name, self._drain_s)
        self.stop.set()
        timer = threading.Timer(self._drain_s, self._drain_failed)
        timer.daemon = True
        timer.start()
        # As a shell reports a process that its signal ended.
        os._exit(128 + self._next_signal(heard))

    @staticmethod
    def _next_signal(heard: socket.socket) -> int:
        while (number := heard.recv(1)[0]) not in SIGNALS:
            pass
        return number

    def _drain_failed(self) -> None:
        self._telemetry.drain_failed(self._drain_s)
        os._exit(DRAIN_FAILED)
