"""The port for probes and metrics: /livez, /readyz, /startupz, /metrics.

Whoever reaches it gets no more than that: one thread answers everybody, a request has little room and little time, and
where too many connections are open the oldest one goes, so that a probe is answered whoever else is there.
"""

import asyncio
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Self

from .errors import StopWorker

REQUEST_S = 5.0
"""A client that takes longer, from its connection to the last byte of its answer, is hung up on; probes and scrapes
take milliseconds."""

REQUEST_BYTES = 16 * 1024
"""Most of a request: its line and its headers. Prometheus and kubelets send some hundred bytes."""

CONNECTIONS = 64
"""Most that are open at a time."""

NO_PROBE = b"try /livez /readyz /startupz /metrics\n"


class Admin:
    """A small HTTP server in a thread.

    Args:
        probe: path to well or not, None where there is no such probe.
        metrics: the body of /metrics and its content type, given what the client accepts.

    Raises:
        StopWorker: the port cannot be had.
    """

    def __init__(
        self, host: str, port: int, *, probe: Callable[[str], bool | None], metrics: Callable[[str], tuple[bytes, str]]
    ) -> None:
        self._probe = probe
        self._metrics = metrics
        self._open: dict[asyncio.StreamWriter, None] = {}  # in the order of their coming
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._converse, host, port, limit=REQUEST_BYTES)
            )
        except OSError as error:
            self._loop.close()
            raise StopWorker(
                f"cannot listen on {host}:{port} ({error.strerror}); set EMOTAG_ADMIN__HOST and _PORT"
            ) from error
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="admin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        await self._stop.wait()
        self._server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        if len(self._open) >= CONNECTIONS:
            oldest = next(iter(self._open))
            self._open.pop(oldest)
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(REQUEST_S):
                writer.write(await self._answer(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # its client is gone, or was too slow
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """The answer to the request that comes."""
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        words = request.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, headers="Allow: GET, HEAD\r\n")
        answer = self._get(target.partition("?")[0], accept=_accepted(request))
        return answer if method == "GET" else answer[: answer.index(b"\r\n\r\n") + 4]

    def _get(self, path: str, *, accept: str) -> bytes:
        if path == "/metrics":
            body, kind = self._metrics(accept)
            return _response(HTTPStatus.OK, body, kind=kind)
        match self._probe(path):
            case None:
                return _response(HTTPStatus.NOT_FOUND, NO_PROBE)
            case True:
                return _response(HTTPStatus.OK, b"ok\n")
            case False:
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, b"not now\n")


def _accepted(request: bytes) -> str:
    """What the Accept headers say, as one."""
    lines = request.decode("latin-1").split("\r\n")[1:]
    fields = [line.partition(":") for line in lines if line.lower().startswith("accept:")]
    return ",".join(value.strip() for _, _, value in fields)


def _response(status: HTTPStatus, body: bytes = b"", *, kind: str = "text/plain", headers: str = "") -> bytes:
    """One answer, after which the connection closes."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{headers}Connection: close\r\n\r\n".encode("latin-1") + body
