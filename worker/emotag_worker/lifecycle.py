"""The life of the process: signals, the shutdown timeout, and the state that the probes report."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from .observability.telemetry import Telemetry

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

SHUTDOWN_FAILED = 1
"""The exit code if the shutdown timeout was too short."""


class Lifecycle:
    """The stop signal, and the state of the worker.

    Args:
        shutdown_timeout_s: longest time from the first signal to the exit.

    Attributes:
        stop: set by the first signal.
        on_started: called once the worker is complete.
    """

    def __init__(self, *, shutdown_timeout_s: float, telemetry: Telemetry) -> None:
        self.stop = threading.Event()
        self.on_started: Callable[[], None] = lambda: None
        self._shutdown = threading.Lock()
        """Taken by the first cause of a shutdown, and never released."""
        self._shutdown_timeout_s = shutdown_timeout_s
        self._telemetry = telemetry
        self.is_done = False
        self._started = False
        self._stuck_s = 0.0
        self._held = False
        self._last_round = time.monotonic()
        self._is_ready: Callable[[], bool] = lambda: False

    def watch_signals(self) -> None:
        """Shut down on SIGTERM or SIGINT; exit at once on a second signal, or at the end of the shutdown timeout.

        A thread acts on signals: a Python handler would have to wait until the main thread returns from librdkafka or
        from torch. The interpreter writes each signal to a socket at once, whichever thread receives it.
        """
        receiving, sending = socket.socketpair()
        sending.setblocking(False)
        signal.set_wakeup_fd(sending.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # without a handler, the default action would end the process
        threading.Thread(target=self._act_on_signals, args=(receiving, sending), name="signals", daemon=True).start()

    def mark_started(self, *, is_ready: Callable[[], bool], stuck_s: float) -> None:
        """Note that the worker is complete.

        Args:
            is_ready: decides from now on whether the worker is ready.
            stuck_s: without a sign of life for this time, the worker is stuck; see `liveness`.
        """
        self._stuck_s = stuck_s
        self._is_ready = is_ready
        self._started = True
        self.mark_alive()
        self.on_started()

    def hold(self) -> None:
        """Stay alive, started and not ready until a signal arrives: a restart would not help."""
        self._held = True
        self.on_started()  # a supervisor starts the others, which hold too: no probe restarts the pod
        self.stop.wait()

    def shut_down(self, cause: str) -> None:
        """Stop, and end the process if that takes longer than the shutdown timeout. Repeated calls have no effect."""
        if not self._shutdown.acquire(blocking=False):
            return
        self._telemetry.report_shutdown(cause, self._shutdown_timeout_s)
        self.stop.set()
        timer = threading.Timer(self._shutdown_timeout_s, self._abandon_shutdown)
        timer.daemon = True
        timer.start()

    def mark_done(self) -> None:
        """Note that there is nothing left to do, and stop: the end of a bounded run."""
        self.is_done = True
        self.stop.set()

    def mark_alive(self) -> None:
        """Note a sign of life: the pipeline has ended a round, or waits for the device."""
        self._last_round = time.monotonic()

    def probe(self, path: str) -> bool | None:
        """Return the state that a probe reports; None if there is no such probe."""
        match path:
            case "/livez":
                return self._held or not self._started or time.monotonic() - self._last_round < self._stuck_s
            case "/startupz":
                return self._held or self._started
            case "/readyz":
                return self._started and not self._held and not self.stop.is_set() and self._is_ready()
        return None

    # The thread owns both ends of the socket pair: without a reference the sending end would be closed.
    def _act_on_signals(self, receiving: socket.socket, sending: socket.socket) -> None:
        first = self._receive_signal(receiving)
        self.shut_down(signal.Signals(first).name)
        # The code with which a shell reports a process that this signal ended.
        os._exit(128 + self._receive_signal(receiving))

    @staticmethod
    def _receive_signal(receiving: socket.socket) -> int:
        while (number := receiving.recv(1)[0]) not in SIGNALS:
            pass
        return number

    def _abandon_shutdown(self) -> None:
        self._telemetry.report_shutdown_timeout(self._shutdown_timeout_s)
        os._exit(SHUTDOWN_FAILED)
