"""A server process on loopback that never outlives the process that started it.

A watchdog process reads from a pipe, and ends the server when the pipe closes. Even `kill -9` of the parent closes it.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Self

from emotag_worker.errors import LocalError, LocalServerFailed

START_S = 60.0
"""Longest wait for a server to start. A broker on a loaded machine takes up to twenty seconds."""
STOP_S = 20.0
PORT_ATTEMPTS = 3
"""Another process may take a free port before the server listens on it."""
PORTS = range(12_000, 32_000)
"""Candidates for free ports. Linux gives outgoing connections ports from 32768 on, macOS from 49152 on."""
CHECK_S = 0.5
"""Time between two checks that servers are still running."""

WATCHDOG = """
import os, select, shutil, signal, sys, time
parent, folders, group = int(sys.argv[1]), sys.argv[2:], 0
while True:
    orphaned = os.getppid() != parent
    if select.select([0], [], [], 2 if orphaned else 1)[0]:
        message = os.read(0, 4096)
        if not message:
            break
        group = int(message.split()[-1])
    elif orphaned:
        break
try:
    for _ in range(25 if group else 0):
        os.killpg(group, signal.SIGKILL)
        time.sleep(0.02)
except OSError:
    pass
for folder in folders:
    shutil.rmtree(folder, ignore_errors=True)
"""
"""The watchdog's program. It reads the server's process group, or 0, from its input, line by line.

The input ends however the parent dies. The watchdog also checks its parent's process id, because a forked child of the
parent, such as a data loader's worker, keeps the input open. A server may just be starting when the parent dies, even
before the watchdog has started. The watchdog therefore reads on until the input ends or stays silent for two seconds.
It removes the folders after the process group has ended, because the group could still write to them.
"""

ANNOUNCE = 'echo $$; exec "$@" >&2'
"""Shell command that prints its process id and then becomes the server, so that the watchdog knows every server."""


class LocalServer(ABC):
    """A server process on loopback that you can stop, kill, pause and start again on the same port and data.

    Args:
        folder: for its data and its log. By default a temporary folder, which is removed at the end.
    """

    name = "server"
    finishes_work = False
    """True if the server must finish its work before it ends, even if its folder is temporary."""

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"emotag-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        # In its own session: Ctrl-C in the terminal must not end the watchdog before it has cleaned up.
        self._watchdog = subprocess.Popen(
            [sys.executable, "-IS", "-c", WATCHDOG, str(os.getpid()), *([str(self.folder)] if self._temporary else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # a reader of our output must not wait for the watchdog
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the server without waiting."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", ANNOUNCE, "sh", *self._build_command()],
                env=self._build_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._watchdog.stdin,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal must reach us only
            )

    def start(self) -> None:
        """Start the server, and wait until it responds.

        Raises:
            LocalError: the server ended, or did not respond in time. The message contains the end of its log.
        """
        self.launch()
        assert self._process is not None
        give_up_at = time.monotonic() + START_S
        while not self.is_ready():
            if self._process.poll() is not None:
                raise LocalServerFailed(f"{self.name} ended with code {self._process.returncode}; {self._quote_log()}")
            if time.monotonic() > give_up_at:
                self.kill()
                raise LocalServerFailed(f"{self.name} did not respond within {START_S:g} s; {self._quote_log()}")
            time.sleep(0.05)  # there is no event to wait for

    def poll(self) -> int | None:
        """Return the exit code of the server; None while it is running."""
        assert self._process is not None
        return self._process.poll()

    def stop(self) -> None:
        """Send SIGTERM, and wait for the end; send SIGKILL if that takes too long."""
        if self._process is not None and self._process.poll() is None:
            self.resume()  # a paused process does not receive SIGTERM
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._clear_watchdog()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._clear_watchdog()

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open without a response."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self, *, keep: bool = False) -> None:
        """End the server and its watchdog, and remove a temporary folder unless *keep* is set."""
        if self._temporary and not self.finishes_work:
            self.kill()  # a clean shutdown of a broker takes up to twenty seconds, for data that is then deleted
        else:
            self.stop()
        if keep:
            self._watchdog.kill()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(keep=kind is not None and issubclass(kind, LocalError))

    def read_log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the log, without Java's stack frames; an empty string without a log."""
        if not self.log_path.is_file():
            return ""
        written = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([line for line in written if not line.startswith("\tat ")][-lines:])

    @abstractmethod
    def _build_command(self) -> Sequence[str]:
        """Write the files that the server needs, and return its command line."""

    def _build_environment(self) -> Mapping[str, str] | None:
        """Return the server's environment; None for the caller's environment."""
        return None

    @abstractmethod
    def move(self) -> None:
        """Choose other ports."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return True if the server responds in its own protocol."""

    def _clear_watchdog(self) -> None:
        """Clear the watchdog's process group: another process may get the ended server's process id."""
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.write(b"0\n")
            self._watchdog.stdin.flush()

    def _quote_log(self) -> str:
        return f"its log {self.log_path} ends with:\n{self.read_log_tail()}"


@contextlib.contextmanager
def run_server(server: LocalServer) -> Iterator[None]:
    """Run a server for the length of a `with` block. If its port is taken, try other ports.

    Raises:
        LocalError: the server does not start.
    """
    failed = False
    try:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                server.start()
                break
            except LocalError:
                failed = True
                taken = "address already in use" in server.read_log_tail(100).lower()
                if not taken or attempt == PORT_ATTEMPTS:
                    raise
                server.move()
        failed = False
        yield
    finally:
        server.close(keep=failed)


def watch_servers(*servers: LocalServer) -> NoReturn:
    """Wait until one of the servers ends.

    Raises:
        LocalServerFailed: always, with the name of the server that ended.
    """
    while True:
        for server in servers:
            if (code := server.poll()) is not None:
                raise LocalServerFailed(
                    f"{server.name} ended unexpectedly with code {code}. All local servers are stopped now, and their "
                    "data is deleted. Start again with: emotag local"
                )
        time.sleep(CHECK_S)  # there is no event to wait for


def find_free_ports(count: int) -> list[int]:
    """Return loopback ports that are not in use.

    No outgoing connection gets one of them, so none takes a port before the server listens on it, or while it restarts.
    """
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        while len(sockets) < count:
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # in use
                candidate.bind(("127.0.0.1", secrets.choice(PORTS)))
                sockets.append(candidate)
        return [each.getsockname()[1] for each in sockets]


def is_listening(port: int) -> bool:
    """Return True if a process listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
