"""The supervisor: starts workers, restarts the ones that fail, and ends all of them together."""

import os
import select
import signal
import socket
import time
from collections.abc import Sequence

import structlog

from emotag_worker.errors import PERSON_NEEDED, RESTART

from .child import Child, End

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

LATE_S = 2.0
"""Workers end themselves at the end of the shutdown timeout. After this time more, they are killed."""

LATE = "processes that still run are killed; uncommitted records are read again"

NOT_BEGUN = frozenset({128 + signal.SIGTERM, 128 + signal.SIGINT})
"""Exit codes of a worker that had nothing to commit: the signal came before the worker watched signals."""


class Supervisor:
    """Runs workers until a signal, until all are done, or until one of them ends by a mistake.

    The first worker starts alone. So a mistake in the settings, a missing topic and unreachable brokers are reported
    once, and the measurement of engines is not disturbed. The others follow as soon as its start is complete.

    Args:
        shutdown_timeout_s: longest time from the first signal to the exit.
    """

    def __init__(self, children: Sequence[Child], *, shutdown_timeout_s: float) -> None:
        self._children = children
        self._shutdown_timeout_s = shutdown_timeout_s
        self._log = structlog.get_logger("emotag")
        self._due: dict[Child, float] = {children[0]: 0.0}
        """When to start each worker that waits for its start."""
        self._held_back = list(children[1:])
        self._is_stopping = False
        self._kill_at: float | None = None
        self._code = 0
        self._reason = "all processes are done"

    def fail(self, reason: str, code: int) -> int:
        """Report that no worker can run, and return the exit code of the command."""
        self._reason, self._code = reason, code
        return self._stop()

    def run(self, admin_host: str, admin_port: int) -> int:
        """Run the workers to their end, and return the exit code of the command.

        Args:
            admin_host, admin_port: the address of metrics and probes, for the log.
        """
        signals = self._watch_signals()
        self._log.info("supervisor_started", processes=len(self._children))
        self._log.info("admin_server_started", host=admin_host, port=admin_port)
        while self._due or self._list_running():
            self._start_due()
            links = [child.link for child in self._list_running() if child.link is not None]
            select.select([signals, *links], [], [], self._find_wait_s())
            for number in _receive(signals):
                self._act_on_signal(number)
            for child in self._list_running():
                child.read_reports()
                if (end := child.take_end()) is not None:
                    self._act_on_end(child, end)
            self._release_others()
            self._kill_late()
        return self._stop()

    def _watch_signals(self) -> socket.socket:
        """Return a socket that gets the number of each signal, that of an ended child included."""
        receiving, sending = socket.socketpair()
        receiving.setblocking(False)
        sending.setblocking(False)
        signal.set_wakeup_fd(sending.fileno())
        self._sending = sending  # without a reference, it would be closed
        for number in (*SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        return receiving

    def _list_running(self) -> list[Child]:
        return [child for child in self._children if child.is_running]

    def _find_wait_s(self) -> float | None:
        """Return the time until the next start or kill; None if only an event can come."""
        times = [*self._due.values(), *([] if self._kill_at is None else [self._kill_at])]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in [child for child, at in self._due.items() if at <= now]:
            del self._due[child]
            try:
                child.start()
            except OSError as error:  # no memory or no process id is left
                self._act_on_end(child, End(RESTART, f"cannot start the process: {error}", is_done=False))
                continue
            self._log.info(
                "process_started", process=child.number, pid=child.pid, cores=child.cores, restarts=child.starts - 1
            )

    def _release_others(self) -> None:
        """Let the other workers start once the start of the first is complete."""
        first = self._children[0]
        if not self._is_stopping and (first.has_started or first.is_done):
            self._due |= dict.fromkeys(self._held_back, 0.0)
            self._held_back.clear()

    def _act_on_signal(self, number: int) -> None:
        if number not in SIGNALS:
            return  # a child has ended
        if not self._is_stopping:
            name = signal.Signals(number).name
            self._log.info("shutdown_started", signal=name, timeout_s=self._shutdown_timeout_s)
            self._shut_down(name)
            return
        for child in self._list_running():
            child.kill()
        # The code with which a shell reports a process that this signal ended.
        os._exit(128 + number)

    def _shut_down(self, cause: str) -> None:
        """Let all workers commit their batches and end."""
        self._is_stopping, self._reason = True, cause
        self._kill_at = time.monotonic() + self._shutdown_timeout_s + LATE_S
        self._due.clear()
        self._held_back.clear()
        for child in self._list_running():
            child.shut_down()

    def _act_on_end(self, child: Child, end: End) -> None:
        """Restart a worker that failed outside; shut all down after a mistake."""
        ran_s, child.has_started = child.ran_s, False
        pause_s = None
        if self._is_stopping:
            self._note_code(end)
        elif end.code == PERSON_NEEDED:
            self._note_code(end)
            self._shut_down(end.reason)
        elif not end.is_done:
            pause_s = child.backoff.take_pause_s(ran_s=ran_s)
            self._due[child] = time.monotonic() + pause_s
        log = self._log.info if end.code == 0 else self._log.warning
        restart = {} if pause_s is None else {"restart_in_s": pause_s}
        log("process_ended", process=child.number, exit_code=end.code, reason=end.reason, **restart)

    def _note_code(self, end: End) -> None:
        """Remember the exit code that matters most: 2 asks for a person, any other failure for a restart."""
        if end.code == PERSON_NEEDED:
            self._code, self._reason = PERSON_NEEDED, end.reason
        elif end.code and end.code not in NOT_BEGUN:
            self._code = self._code or RESTART

    def _kill_late(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._log.error("shutdown_timed_out", timeout_s=self._shutdown_timeout_s, consequence=LATE)
            for child in self._list_running():
                child.kill()
            self._kill_at = None

    def _stop(self) -> int:
        log = self._log.error if self._code else self._log.info
        log("supervisor_stopped", reason=self._reason, exit_code=self._code)
        return self._code


def _receive(signals: socket.socket) -> bytes:
    try:
        return signals.recv(4096)
    except BlockingIOError:
        return b""
