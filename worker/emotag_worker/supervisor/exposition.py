"""The metrics and probes of several workers as those of one."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .child import Child

ANSWER_S = 2.0
"""Longest wait for a worker's response, which takes milliseconds. It is below the 5 s that the admin server has for a
whole response, and that kubelets wait in our manifests."""

LABEL = "process"

SAMPLE = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
"""The name at the beginning of a sample."""

OPENMETRICS = "application/openmetrics-text"
NOTHING = b"# EOF\n"
"""No metrics at all, in OpenMetrics. In the text format, the line is a comment."""


@dataclass(frozen=True)
class Reply:
    """A worker's response to a GET."""

    status: int
    kind: str
    body: bytes


class Exposition:
    """The responses of an admin server for several workers."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    async def probe(self, path: str) -> bool | str | None:
        """Return True if the probe of every worker succeeds, otherwise the workers that fail.

        Returns None if there is no such probe.

        A worker that waits for its restart is alive: to restart all of them would not help it.
        """
        if path not in ("/livez", "/readyz", "/startupz"):
            return None
        failures = await asyncio.gather(*(self._find_failure(child, path) for child in self._children))
        return ", ".join(filter(None, failures)) or True

    async def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of the workers that respond, and their content type.

        Args:
            accept: the client's Accept header, which each worker gets too.
        """
        ports = {str(child.number): child.port for child in self._children if child.port is not None}
        answers = await asyncio.gather(*(fetch(port, "/metrics", accept=accept) for port in ports.values()))
        found = {process: each for process, each in zip(ports, answers, strict=True) if each and each.status == 200}
        if not found:
            return NOTHING, f"{OPENMETRICS}; version=1.0.0; charset=utf-8" if OPENMETRICS in accept else "text/plain"
        # Workers of one program choose the same format for one Accept header.
        return merge({process: each.body for process, each in found.items()}), next(iter(found.values())).kind

    async def _find_failure(self, child: Child, path: str) -> str:
        """Return the worker and its problem; an empty string if its probe succeeds."""
        if child.is_done or (child.port is None and path == "/livez"):
            return ""
        if child.port is None:
            return f"process {child.number} has not started"
        match await fetch(child.port, path):
            case None:
                return f"process {child.number} does not respond"
            case Reply(status=200):
                return ""
        return f"process {child.number}"


async def fetch(port: int, path: str, *, accept: str = "*/*") -> Reply | None:
    """Return the response to a GET on loopback; None without a complete response within `ANSWER_S`."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode("latin-1"))
                head = await reader.readuntil(b"\r\n\r\n")
                status, headers = _read_head(head)
                body = await reader.readexactly(int(headers["content-length"]))
            finally:
                writer.transport.abort()
    # Between a worker's end and its notice, another program may have its port.
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, LookupError, ValueError):
        return None
    return Reply(status, headers["content-type"], body)


def merge(bodies: Mapping[str, bytes]) -> bytes:
    """Return the metrics of several processes as one exposition, with a label `process` on each sample.

    Args:
        bodies: each in the same format: OpenMetrics, or Prometheus' text format.
    """
    families: dict[bytes, tuple[dict[bytes, None], list[bytes]]] = {}  # comments without repetitions, and samples
    is_open = False
    for process, body in bodies.items():
        label = f'{LABEL}="{process}"'.encode()
        comments, samples = families.setdefault(b"", ({}, []))  # of a family without comments
        for line in body.splitlines():
            if line == b"# EOF":
                is_open = True
            elif line.startswith(b"#"):  # HELP, TYPE or UNIT, and the name of the family
                comments, samples = families.setdefault(line.split(b" ", 3)[2], ({}, []))
                comments[line] = None
            elif line:
                samples.append(_add_label(line, label))
    lines = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return b"\n".join([*lines, *([b"# EOF"] if is_open else []), b""])


def _add_label(sample: bytes, label: bytes) -> bytes:
    name = SAMPLE.match(sample)
    assert name is not None, sample
    rest = sample[name.end() :]
    if not rest.startswith(b"{"):
        return b"%b{%b}%b" % (name[0], label, rest)
    return b"%b{%b%b%b" % (name[0], label, b"" if rest.startswith(b"{}") else b",", rest[1:])


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a response of our own server."""
    first, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}
