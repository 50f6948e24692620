"""`emotag run` in its own process, as in production."""

import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .server import LocalServer, find_free_ports


class LocalWorker(LocalServer):
    """A worker process.

    Args:
        environment: its EMOTAG_… variables, added to the caller's environment. The admin port is chosen here.
    """

    name = "worker"
    finishes_work = True

    def __init__(self, environment: Mapping[str, str], folder: Path | None = None) -> None:
        super().__init__(folder)
        (self.admin_port,) = find_free_ports(1)
        self._environment = {
            **os.environ,
            "EMOTAG_LOG__FORMAT": "json",
            **environment,
            "EMOTAG_ADMIN__HOST": "127.0.0.1",
            "EMOTAG_ADMIN__PORT": str(self.admin_port),
        }

    def get(self, path: str) -> tuple[int, str]:
        """Send a GET to the admin port, and return status and body.

        Raises:
            OSError: no server listens on the port.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait(self, timeout_s: float) -> int:
        """Wait until the worker ends by itself, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: the worker is still running.
        """
        assert self._process is not None
        return self._process.wait(timeout_s)

    def move(self) -> None:
        (self.admin_port,) = find_free_ports(1)
        self._environment["EMOTAG_ADMIN__PORT"] = str(self.admin_port)

    def _build_command(self) -> Sequence[str]:
        # -P keeps the current folder out of the module search path: a user's own files there are never imported.
        return [sys.executable, "-P", "-m", "emotag_worker", "run"]

    def _build_environment(self) -> Mapping[str, str]:
        return self._environment

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False
