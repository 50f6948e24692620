"""The admin port serves four paths to anybody, at little cost for the worker."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotag_worker.errors import StopWorker
from emotag_worker.observability import admin_server
from emotag_worker.observability.admin_server import Admin

PROBES = {"/livez": True, "/startupz": True, "/readyz": False}


@pytest.fixture
def port() -> Iterator[int]:
    with Admin(
        "127.0.0.1", 0, probe=PROBES.get, metrics=lambda _: (b"emotag_records_total 1\n", "text/plain")
    ) as served:
        yield served.port


def ask(port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    with contextlib.closing(connection):
        return response.status, response.read()


def said(port: int, sent: bytes) -> bytes:
    """Return the response to these bytes; nothing if the connection is reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            return answer.read()
    return b""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/livez", 200),
        ("/startupz?verbose=1", 200),
        ("/readyz", 503),
        ("/metrics", 200),
        ("/", 404),
        ("/livez/", 404),
        ("/metrics/../etc/passwd", 404),
        ("//livez", 404),
        ("/worker/emotag_worker/settings/stream.py", 404),
    ],
)
def test_four_paths_are_served_and_no_other(port: int, path: str, status: int) -> None:
    assert status == ask(port, "GET", path)[0]


def test_metrics_are_told_what_their_client_accepts() -> None:
    """In any number of header lines, in any case."""
    with (
        Admin("127.0.0.1", 0, probe=PROBES.get, metrics=lambda accept: (accept.encode(), "text/strange")) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection,
    ):
        connection.sendall(b"GET /metrics HTTP/1.1\r\nACCEPT: a/b\r\nHost: x\r\naccept:c/d;q=0.5\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b"Content-Type: text/strange\r\n" in answer
    assert answer.endswith(b"\r\n\r\na/b,c/d;q=0.5")


def test_a_head_is_a_get_without_its_body(port: int) -> None:
    assert (200, b"") == ask(port, "HEAD", "/metrics")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_what_only_reads_is_allowed_and_no_other_method(port: int, method: str) -> None:
    assert 405 == ask(port, method, "/metrics")[0]


@pytest.mark.parametrize(
    "request_", [b"GET /livez\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_request_is_told_so(port: int, request_: bytes) -> None:
    """An HTTP/0.9 request, the beginning of a TLS handshake, nothing."""
    assert said(port, request_).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"X-%d: a\r\n" * 100_000 + b"\r\n",
    ],
    ids=["a line of 1 MB", "a header of 1 MB", "endless headers"],
)
def test_a_large_request_is_refused(port: int, request_: bytes) -> None:
    """It gets an error, or is cut off while it is sent; the next request gets a response."""
    assert said(port, request_)[:13] in (b"HTTP/1.1 431 ", b"")
    assert 200 == ask(port, "GET", "/livez")[0]


def test_a_slow_client_is_hung_up_on_and_probes_are_answered_meanwhile(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte arrives in time, the whole request does not."""
    monkeypatch.setattr(admin_server, "REQUEST_S", 1.0)
    began = time.monotonic()
    longest = 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as slow:
        for byte in b"GET /livez HTTP/1.1\r\n" + b"X" * 1000:
            try:
                slow.sendall(bytes([byte]))
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                pass  # not yet
            except ConnectionError:
                break
            asked = time.monotonic()
            assert 200 == ask(port, "GET", "/livez")[0]
            longest = max(longest, time.monotonic() - asked)
    assert 0.9 < time.monotonic() - began < 10  # a limit for each byte alone would allow 100 s
    assert longest < 0.9


def test_a_client_that_does_not_read_its_answer_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "REQUEST_S", 0.5)
    large = b"a" * 64 * 1024 * 1024  # more than the buffers of any socket
    with (
        Admin("127.0.0.1", 0, probe=PROBES.get, metrics=lambda _: (large, "text/plain")) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as lazy,
    ):
        lazy.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert b"H" == lazy.recv(1)
        began = time.monotonic()
        while served._open and time.monotonic() - began < 5:
            time.sleep(0.01)  # nothing on this side reports it
        assert not served._open


def test_a_flood_of_connections_costs_no_threads_and_keeps_no_probe_out(port: int) -> None:
    """Ten times as many silent connections as allowed: the oldest are closed, the newest gets a response."""
    ask(port, "GET", "/livez")
    threads, files = threading.active_count(), open_files()
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            for _ in range(10 * admin_server.CONNECTIONS)
        ]
        began = time.monotonic()
        assert 200 == ask(port, "GET", "/livez")[0]
        assert time.monotonic() - began < 9
        assert threads == threading.active_count()
        served = open_files() - files - len(silent)
        assert served <= admin_server.CONNECTIONS
        with contextlib.suppress(ConnectionError):  # the first connection is closed
            assert b"" == silent[0].recv(1)


def test_a_flood_while_a_scrape_is_computed_drops_no_connection() -> None:
    """More connections than asyncio's default backlog wait to be accepted: the kernel must not drop the probe's.

    A client sends the first packet of a dropped connection again after a second; the kernel counts this.
    """
    computing, flooded = threading.Event(), threading.Event()

    def compute_slowly(_: str) -> tuple[bytes, str]:
        computing.set()
        flooded.wait(10)  # the work of a scrape: no connection is accepted meanwhile
        return b"", "text/plain"

    with (
        Admin("127.0.0.1", 0, probe=PROBES.get, metrics=compute_slowly) as served,
        contextlib.ExitStack() as stack,
    ):
        scrape = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
        scrape.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert computing.wait(10)
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
            for _ in range(2 * 100)
        ]
        flooded.set()
        assert 200 == ask(served.port, "GET", "/livez")[0]
        assert [0] * len(waiting) == [count_sent_again(each) for each in waiting]


def count_sent_again(connection: socket.socket) -> int:
    """Return how many packets the kernel sent more than once: `tcpi_total_retrans` in Linux's tcp(7)."""
    return int(struct.unpack_from("=I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0])


def test_it_listens_where_it_is_told_and_nowhere_else(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=1)


def test_a_port_that_is_taken_is_named(port: int) -> None:
    with pytest.raises(StopWorker, match=rf"127\.0\.0\.1:{port} .*EMOTAG_ADMIN__HOST"):
        Admin("127.0.0.1", port, probe=PROBES.get, metrics=lambda _: (b"", "text/plain"))


def test_it_ends_with_connections_open() -> None:
    """And closes them."""
    with Admin("127.0.0.1", 0, probe=PROBES.get, metrics=lambda _: (b"", "text/plain")) as served:
        connection = socket.create_connection(("127.0.0.1", served.port), timeout=5)
        ask(served.port, "GET", "/livez")
    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        assert b"" == connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), timeout=1)
