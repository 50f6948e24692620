"""A server process on loopback that never outlives the process that started it.

A watchdog holds the other end of a pipe, and ends the server when the pipe closes: even `kill -9` closes it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

START_S = 60.0
"""Longest wait for a server; a broker on a loaded machine takes up to twenty seconds."""
STOP_S = 20.0
PORT_ATTEMPTS = 3
"""A free port may be taken between asking for it and listening on it."""

WATCHDOG = """
import os, select, shutil, signal, sys, time
parent, folders, group = int(sys.argv[1]), sys.argv[2:], 0
while True:
    gone = os.getppid() != parent
    if select.select([0], [], [], 2 if gone else 1)[0]:
        told = os.read(0, 4096)
        if not told:
            break
        group = int(told.split()[-1])
    elif gone:
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
"""Told the server's process group, or 0, line by line; acts when its input ends, which it does however the writer died.

It looks at its parent too: a forked child of the writer, such as a data loader's worker, keeps the input open. But a
server that was being started when the parent died is still to be heard of, at times before this has even begun: so it
listens until nobody can write any more, or nobody has for two seconds. It removes the folder only once the group is
gone, which could still write there.
"""

ANNOUNCED = 'echo $$; exec "$@" >&2'
"""Shell: says its process id on stdout and becomes the server, so that the watchdog knows of every server there is."""


class LocalError(Exception):
    """A local server that cannot be had, and what to do about it."""


class LocalServer(ABC):
    """A server process on loopback that can be stopped, killed, paused and started again on the same port and data.

    Args:
        folder: for its data and its log; a temporary one where none is given, removed at the end.
    """

    name = "server"
    drains = False
    """Whether it has something to finish before it ends, though its folder goes with it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"emotag-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        # In a session of its own: Ctrl-C in the terminal must not reach it before it has cleaned up.
        self._watchdog = subprocess.Popen(
            [sys.executable, "-IS", "-c", WATCHDOG, str(os.getpid()), *([str(self.folder)] if self._temporary else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # whoever reads our output must not wait for it
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start, and wait for nothing."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", ANNOUNCED, "sh", *self._command()],
                env=self._process_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._watchdog.stdin,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for us, not for it
            )

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            LocalError: it ended or did not answer in time; carries the end of its log.
        """
        self.launch()
        assert self._process is not None
        give_up_at = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None:
                raise LocalError(f"{self.name} ended with code {self._process.returncode}; {self._end_of_log()}")
            if time.monotonic() > give_up_at:
                self.kill()
                raise LocalError(f"{self.name} did not answer within {START_S:g} s; {self._end_of_log()}")
            time.sleep(0.05)  # there is nothing to await but the port itself

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone; SIGKILL where it takes too long."""
        if self._process is not None and self._process.poll() is None:
            self.resume()  # a paused process does not hear SIGTERM
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._nothing_to_end()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._nothing_to_end()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self, *, keep: bool = False) -> None:
        """End for good, and remove a temporary folder unless it is to be *kept*."""
        if self._temporary and not self.drains:
            self.kill()  # a broker takes seconds, at times twenty, to shut down in order what is then thrown away
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

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log, if it has written one, without the stack frames that crowd out what Java says."""
        if not self.log_path.is_file():
            return ""
        written = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([line for line in written if not line.startswith("\tat ")][-lines:])

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The command line, its files written."""

    def _process_environment(self) -> Mapping[str, str] | None:
        """Its environment; None is the caller's own."""
        return None

    @abstractmethod
    def move(self) -> None:
        """Take other ports."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it answers its own protocol by now."""

    def _nothing_to_end(self) -> None:
        """Tell the watchdog: somebody else may get the ended server's process id."""
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.write(b"0\n")
            self._watchdog.stdin.flush()

    def _end_of_log(self) -> str:
        return f"its log, {self.log_path}, ends with:\n{self.log_tail()}"


@contextlib.contextmanager
def running(server: LocalServer) -> Iterator[None]:
    failed = False
    try:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                server.start()
                break
            except LocalError:
                failed = True
                taken = "address already in use" in server.log_tail(100).lower()
                if not taken or attempt == PORT_ATTEMPTS:
                    raise
                server.move()
        failed = False
        yield
    finally:
        server.close(keep=failed)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def accepts(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
