"""The HTTP server for probes and metrics. Its behaviour with hostile clients is tested in tests/security."""

import asyncio
import errno
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from emotag_worker.errors import PERSON_NEEDED, RESTART, WorkerError
from emotag_worker.observability.admin_server import Admin
from emotag_worker.settings import AdminSettings

PROBES = {"/livez": True, "/readyz": False}


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a server whose metrics repeat the Accept header, in the content type too."""
    metrics = lambda accept: (accept.encode(), f"text/plain; {accept}")  # noqa: E731
    with Admin("127.0.0.1", 0, probe=PROBES.get, metrics=metrics) as server:
        yield server.port


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.makefile("rb").read()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/livez", 200, b"ok\n"),
        ("/livez?verbose=1", 200, b"ok\n"),
        ("/readyz", 503, b"not now\n"),
        ("/other", 404, b"try /livez /readyz /startupz /metrics\n"),
    ],
)
def test_a_probe_has_the_status_of_its_state(port: int, path: str, status: int, body: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    assert (status, body) == (response.status, response.read())
    assert "close" == response.headers["Connection"]


def test_states_and_metrics_may_be_awaitables_and_a_state_may_have_a_reason() -> None:
    async def probe(path: str) -> bool | str | None:
        states: dict[str, bool | str] = {"/livez": True, "/readyz": "process 1"}
        return states.get(path)

    async def render(accept: str) -> tuple[bytes, str]:
        return accept.encode(), "text/plain"

    with Admin("127.0.0.1", 0, probe=probe, metrics=render) as server:
        assert exchange(server.port, b"GET /livez HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\nok\n")
        failed = exchange(server.port, b"GET /readyz HTTP/1.1\r\n\r\n")
        assert failed.startswith(b"HTTP/1.1 503 ")
        assert failed.endswith(b"\r\n\r\nnot now: process 1\n")
        assert exchange(server.port, b"GET /other HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
        assert exchange(server.port, b"GET /metrics HTTP/1.1\r\nAccept: a/b\r\n\r\n").endswith(b"\r\n\r\na/b")


def test_a_header_cannot_add_lines_to_the_response(port: int) -> None:
    """The metrics' content type may repeat what the client sent."""
    response = exchange(port, b"GET /metrics HTTP/1.1\r\nAccept: text/plain;version=2.0.0\nSet-Cookie: a=b\r\n\r\n")
    head = response.partition(b"\r\n\r\n")[0]
    assert b"\nSet-Cookie" not in head
    assert b"version=2.0.0Set-Cookie: a=b" in head


def test_head_returns_the_headers_only(port: int) -> None:
    response = exchange(port, b"HEAD /livez HTTP/1.1\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3\r\n" in response
    assert response.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_default_host_is_reached_by_both_families(address: str) -> None:
    """In a pod that has only an address of IPv6, too."""
    default = AdminSettings().host
    with (
        Admin(default, 0, probe=PROBES.get, metrics=lambda _: (b"", "")) as served,
        socket.create_connection((address, served.port), timeout=10) as connection,
    ):
        connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 200 ")


def refuse_ipv6(*_: object, **options: object) -> socket.socket:
    if options.get("family") == socket.AF_INET6:
        raise OSError(errno.EADDRNOTAVAIL, "cannot assign")
    return CREATE(("", 0))


CREATE = socket.create_server


@pytest.mark.parametrize("has", [True, False])
def test_without_ipv6_the_default_host_is_all_addresses_of_ipv4(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: has)
    monkeypatch.setattr(socket, "create_server", refuse_ipv6)
    with Admin("*", 0, probe=PROBES.get, metrics=lambda _: (b"", "")) as served:
        assert exchange(served.port, b"GET /livez HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_port_in_use_on_all_addresses_needs_a_restart() -> None:
    with Admin("*", 0, probe=PROBES.get, metrics=lambda _: (b"", "")) as served:
        error = refuse("*", served.port)
    assert RESTART == error.exit_code
    assert "address already in use" in str(error)


SETTINGS = "(EMOTAG_ADMIN__HOST, EMOTAG_ADMIN__PORT)"


def refuse(host: str, port: int) -> WorkerError:
    """Return the error of a server that cannot listen there."""
    with pytest.raises(WorkerError) as caught:
        Admin(host, port, probe=PROBES.get, metrics=lambda _: (b"", ""))
    return caught.value


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no such host", "no such host"),
        ("a..b", "no such host"),
        ("192.0.2.1", "the address is not on this machine"),
    ],
)
def test_a_host_that_is_not_here_needs_a_person(host: str, reason: str) -> None:
    error = refuse(host, 0)
    assert PERSON_NEEDED == error.exit_code
    assert str(error).startswith(f"cannot listen on {host}:0 {SETTINGS}: {reason}. Set EMOTAG_ADMIN__HOST to ")
    assert 1 == str(error).count(f"{host}:")


def test_a_port_in_use_needs_a_restart() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        error = refuse("127.0.0.1", port)
    assert RESTART == error.exit_code
    assert str(error) == f"cannot listen on 127.0.0.1:{port} {SETTINGS}: address already in use. " + (
        "Set another port, or EMOTAG_ADMIN__PORT=0 for any free port"
    )


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), RESTART, "Temporary failure"),
        (OSError("could not bind on any address out of [('192.0.2.1', 1)]"), PERSON_NEEDED, "is not on this machine"),
        (OSError(errno.EACCES, "error while attempting to bind"), PERSON_NEEDED, "permission denied"),
    ],
)
def test_failures_that_depend_on_the_machine_have_their_code(
    failure: OSError, code: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(asyncio, "start_server", fail)
    error = refuse("worker.example", 80)
    assert code == error.exit_code
    assert reason in str(error)
