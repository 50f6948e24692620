"""One worker of a supervisor: its process, and the socket between the two.

The worker sends lines of JSON to the supervisor. The supervisor sends nothing: it closes its side, and the worker shuts
down. So the worker also shuts down if the supervisor is killed, because the kernel closes the socket then.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from emotag_worker.settings import AdminSettings, Settings

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
WELL_S = 60.0
"""A worker that has run this long after its start was complete is restarted after `FIRST_PAUSE_S` again."""

IDENTITY = "group.instance.id"
"""The property of the Kafka client that has the same effect as the setting `kafka.identity`."""


@dataclass(frozen=True)
class End:
    """The end of a worker.

    Attributes:
        code: exit code; 128 + number after a signal, as shells report it.
        reason: in words.
        is_done: True if the worker has nothing left to do, because its range of time is done.
    """

    code: int
    reason: str
    is_done: bool


class Backoff:
    """The pause before the next restart: it doubles with each failure, until the worker has run well for a while."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def take_pause_s(self, *, ran_s: float) -> float:
        """Return the pause in seconds.

        Args:
            ran_s: how long the worker ran after its start was complete; 0 if it never was.
        """
        pause_s = FIRST_PAUSE_S if ran_s >= WELL_S else self._next_s
        self._next_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s


class Child:
    """A worker process, as its supervisor sees it.

    Args:
        command: the program and its arguments. The child's own arguments are appended.
        cores: the cores that the process may use; empty for all.

    Attributes:
        port: where the worker's metrics and probes are; None while it has no such port.
        has_started: True while the worker runs and is complete.
        is_done: True if the worker has ended for good.
        starts: number of times that the process was started.
    """

    def __init__(self, number: int, command: Sequence[str], cores: Sequence[int]) -> None:
        self.number, self.cores = number, list(cores)
        self.port: int | None = None
        self.has_started = False
        self.is_done = False
        self.starts = 0
        self.backoff = Backoff()
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._unread = b""
        self._started_at = 0.0
        self._reason = ""

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def link(self) -> socket.socket | None:
        """The supervisor's side of the socket; None once the worker has closed its own."""
        return self._link

    @property
    def ran_s(self) -> float:
        """Seconds since the start was complete; 0 if it is not."""
        return time.monotonic() - self._started_at if self.has_started else 0.0

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: the system cannot start a process now.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._link, self._unread, self._reason = ours, b"", ""
        try:
            with theirs, _use_cores(self.cores):
                arguments = [*self._command, "--child", f"{self.number}:{theirs.fileno()}"]
                self._process = subprocess.Popen(arguments, pass_fds=[theirs.fileno()])
        except OSError:
            self._close_link()
            raise
        self.starts += 1

    def read_reports(self) -> None:
        """Read what the worker has reported."""
        if self._link is None:
            return
        try:
            while received := self._link.recv(65536):
                self._unread += received
        except BlockingIOError:
            pass  # more may follow
        else:
            self._close_link()
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._note(json.loads(line))

    def take_end(self) -> End | None:
        """Return the end of the process; None while it runs."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return None
        self.read_reports()
        self._close_link()
        self.port, self._process = None, None
        if code < 0:
            return End(128 - code, self._reason or f"ended by {signal.Signals(-code).name}", self.is_done)
        return End(code, self._reason or f"ended with exit code {code}", self.is_done)

    def shut_down(self) -> None:
        """Let the worker commit its batches and end. Repeated calls have no effect."""
        if self._link is not None:
            self._link.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """End the process at once."""
        assert self._process is not None
        self._process.kill()

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _note(self, report: dict[str, Any]) -> None:
        match report:
            case {"port": int(port)}:
                self.port = port
            case {"started": True}:
                self.has_started, self._started_at = True, time.monotonic()
            case {"reason": str(reason), "done": bool(done)}:
                self._reason, self.is_done = reason, done


@contextlib.contextmanager
def _use_cores(cores: Sequence[int]) -> Iterator[None]:
    """Limit this thread to some cores, and with it each process that it starts within the block."""
    before = os.sched_getaffinity(0) if cores else set()
    # The container's cores can change; a worker on other cores is better than none.
    with contextlib.suppress(OSError):
        if cores:
            os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if cores:
                os.sched_setaffinity(0, before)


class Link:
    """The worker's side of the socket.

    Args:
        argument: the value of `--child`, "number:file descriptor".

    Attributes:
        number: the number of this worker, from 0.
    """

    def __init__(self, argument: str) -> None:
        number, _, descriptor = argument.partition(":")
        self.number = int(number)
        self._socket = socket.socket(fileno=int(descriptor))
        self._socket.set_inheritable(False)  # a process of the worker must not keep the socket open

    @classmethod
    def open(cls, argument: str | None) -> Self | None:
        """Return the link to the supervisor; None if there is none."""
        return None if argument is None else cls(argument)

    def watch(self, when_closed: Callable[[], None]) -> None:
        """Call *when_closed* in a thread once the supervisor closes its side or ends."""

        def wait() -> None:
            with contextlib.suppress(ConnectionResetError):  # the supervisor was killed before it read a report
                self._socket.recv(1)  # it sends nothing, so this returns at the end
            when_closed()

        threading.Thread(target=wait, name="supervisor", daemon=True).start()

    def report(self, **fields: object) -> None:
        """Send a report to the supervisor, if it still runs."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(fields).encode() + b"\n")


def adapt_settings(settings: Settings, number: int) -> Settings:
    """Return the settings of one of several workers: its own port on loopback, and its own identity."""
    kafka = settings.kafka
    if kafka.identity is not None:
        kafka = kafka.model_copy(update={"identity": f"{kafka.identity}-{number}"})
    if IDENTITY in kafka.properties:
        named = {**kafka.properties, IDENTITY: f"{kafka.properties[IDENTITY]}-{number}"}
        kafka = kafka.model_copy(update={"properties": named})
    admin = AdminSettings(host="127.0.0.1", port=0)
    return settings.model_copy(update={"kafka": kafka, "admin": admin})
