"""The HTTP server for probes and metrics: /livez, /readyz, /startupz, /metrics.

The server uses one thread. It limits the size and the time of a request, and closes the oldest connection if too many
are open, so that probes get a response whatever other clients do.
"""

import asyncio
import errno
import inspect
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Self, TypeAlias

from emotag_worker.errors import SettingsError, StopWorker, WorkerError

REQUEST_S = 5.0
"""Longest time from a connection to the last byte of its response. Probes and scrapes take milliseconds."""

REQUEST_BYTES = 16 * 1024
"""Largest request, with its headers. Prometheus and kubelets send a few hundred bytes."""

CONNECTIONS = 64
"""Most open connections."""

BACKLOG = 4096
"""Most connections that wait to be accepted. If that queue is full, the kernel drops a probe's first packet, and the
client sends it again after 1 s: a kubelet has given up by then. Linux caps the value at net.core.somaxconn."""

ALL = "*"

State: TypeAlias = bool | str | None
"""The state that a probe reports: whether it succeeds, or why it does not; None if there is no such probe."""

NO_PROBE = b"try /livez /readyz /startupz /metrics\n"


class Admin:
    """A small HTTP server in a thread.

    Args:
        host: `*` for all addresses of this machine, of IPv6 and of IPv4.
        probe: returns the state for the path of a probe, at once or as an awaitable.
        metrics: returns the body of /metrics and its content type for an Accept header, at once or as an awaitable.

    Raises:
        SettingsError: the host does not exist or is not on this machine, or this user may not use the port.
        StopWorker: the server cannot listen for another reason: for example, another process uses the port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        probe: Callable[[str], State | Awaitable[State]],
        metrics: Callable[[str], tuple[bytes, str] | Awaitable[tuple[bytes, str]]],
    ) -> None:
        self._probe = probe
        self._metrics = metrics
        self._open: dict[asyncio.StreamWriter, None] = {}  # oldest first
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._handle, limit=REQUEST_BYTES, backlog=BACKLOG, **_bind(host, port))
            )
        except (OSError, UnicodeError) as error:
            self._loop.close()
            raise _explain_failure(error, host, port) from error
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

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and send its response."""
        if len(self._open) >= CONNECTIONS:
            oldest = next(iter(self._open))
            self._open.pop(oldest)
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(REQUEST_S):
                writer.write(await self._respond(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # the client closed the connection, or was too slow
        except asyncio.CancelledError:
            pass  # shutdown; asyncio before 3.12 prints a traceback for each cancelled connection
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader) -> bytes:
        """Return the response to the next request."""
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _format_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        words = request.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _format_response(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _format_response(HTTPStatus.METHOD_NOT_ALLOWED, headers="Allow: GET, HEAD\r\n")
        response = await self._get(target.partition("?")[0], accept=_read_accept(request))
        return response if method == "GET" else response[: response.index(b"\r\n\r\n") + 4]

    async def _get(self, path: str, *, accept: str) -> bytes:
        if path == "/metrics":
            metrics = self._metrics(accept)
            body, kind = await metrics if inspect.isawaitable(metrics) else metrics
            return _format_response(HTTPStatus.OK, body, kind=kind)
        state = self._probe(path)
        match await state if inspect.isawaitable(state) else state:
            case None:
                return _format_response(HTTPStatus.NOT_FOUND, NO_PROBE)
            case True:
                return _format_response(HTTPStatus.OK, b"ok\n")
            case False:
                return _format_response(HTTPStatus.SERVICE_UNAVAILABLE, b"not now\n")
            case str(reason):
                return _format_response(HTTPStatus.SERVICE_UNAVAILABLE, f"not now: {reason}\n".encode())


def _bind(host: str, port: int) -> dict[str, Any]:
    """Return the address as arguments of asyncio: for `*` a socket of both families, if the machine has both.

    Raises:
        OSError: another process uses the port.
    """
    if host != ALL:
        return {"host": host, "port": port}
    if socket.has_dualstack_ipv6():
        try:
            return {"sock": socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)}
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    # IPv6 is switched off on this machine.
    return {"sock": socket.create_server(("", port))}


def _explain_failure(error: OSError | UnicodeError, host: str, port: int) -> WorkerError:
    """Return the error for an address that the server cannot listen on."""
    where = f"cannot listen on {host}:{port} (EMOTAG_ADMIN__HOST, EMOTAG_ADMIN__PORT)"
    match error:
        case UnicodeError() | socket.gaierror(errno=socket.EAI_NONAME | socket.EAI_FAIL):
            return SettingsError(f"{where}: no such host. Set EMOTAG_ADMIN__HOST to an address of this machine")
        case socket.gaierror():  # the name server does not answer
            return StopWorker(f"{where}: {error.strerror}. Set EMOTAG_ADMIN__HOST to an IP address")
        case OSError(errno=errno.EADDRNOTAVAIL | None):  # asyncio of Python 3.13 sets no number
            return SettingsError(
                f"{where}: the address is not on this machine. Set EMOTAG_ADMIN__HOST to * or to one that is"
            )
        case OSError(errno=errno.EACCES):
            return SettingsError(f"{where}: permission denied. Set EMOTAG_ADMIN__PORT to 1024 or higher")
    # A port in use becomes free when its process ends, for example a worker that is shutting down. So a restart helps.
    return StopWorker(
        f"{where}: {os.strerror(error.errno or 0).lower()}. Set another port, or EMOTAG_ADMIN__PORT=0 for any free port"
    )


def _read_accept(request: bytes) -> str:
    """Return the Accept headers as one, without control characters: the content type may repeat parts of it."""
    lines = request.decode("latin-1").split("\r\n")[1:]
    fields = [line.partition(":") for line in lines if line.lower().startswith("accept:")]
    return "".join(each for each in ",".join(value.strip() for _, _, value in fields) if each.isprintable())


def _format_response(status: HTTPStatus, body: bytes = b"", *, kind: str = "text/plain", headers: str = "") -> bytes:
    """Return the bytes of a response after which the connection closes."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{headers}Connection: close\r\n\r\n".encode("latin-1") + body
