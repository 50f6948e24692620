"""The port for probes and metrics: /livez, /readyz, /startupz, /metrics."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from prometheus_client import CONTENT_TYPE_LATEST

from .errors import StopWorker

REQUEST_S = 5
"""A client that sends its request more slowly than this is hung up on; probes and scrapes take milliseconds."""


class Admin:
    """A small HTTP server in a thread.

    Args:
        probe: path to well or not, None where there is no such probe.
        metrics: the body of /metrics.

    Raises:
        StopWorker: the port cannot be had.
    """

    def __init__(
        self, host: str, port: int, *, probe: Callable[[str], bool | None], metrics: Callable[[], bytes]
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_S

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                well = probe(path)
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, metrics())
                elif well is None:
                    self._answer(404, "text/plain", b"try /livez /readyz /startupz /metrics\n")
                else:
                    self._answer(200 if well else 503, "text/plain", b"ok\n" if well else b"not now\n")

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Probes come every few seconds: they are no events."""

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise StopWorker(
                f"cannot listen on {host}:{port} ({error.strerror}); set EMOTAG_ADMIN__HOST and _PORT"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="admin", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
