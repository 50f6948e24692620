"""`emotag run` as a process of its own, as it runs in production."""

import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .server import LocalServer, free_ports


class LocalWorker(LocalServer):
    """A worker process.

    Args:
        environment: its EMOTAG_… variables, over the caller's own; its admin port is chosen here.
    """

    name = "worker"
    drains = True

    def __init__(self, environment: Mapping[str, str], folder: Path | None = None) -> None:
        super().__init__(folder)
        (self.admin_port,) = free_ports(1)
        self._environment = {
            **os.environ,
            "EMOTAG_LOG__FORMAT": "json",
            **environment,
            "EMOTAG_ADMIN__HOST": "127.0.0.1",
            "EMOTAG_ADMIN__PORT": str(self.admin_port),
        }

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET on the admin port.

        Raises:
            OSError: nobody listens there.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait(self, timeout_s: float) -> int:
        """The exit code, once it has ended by itself.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        assert self._process is not None
        return self._process.wait(timeout_s)

    def move(self) -> None:
        (self.admin_port,) = free_ports(1)
        self._environment["EMOTAG_ADMIN__PORT"] = str(self.admin_port)

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", "worker.cli", "run"]

    def _process_environment(self) -> Mapping[str, str]:
        return self._environment

    def answers(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False
