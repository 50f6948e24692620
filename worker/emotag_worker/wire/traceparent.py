"""The trace that a record belongs to, from its `traceparent` header (W3C Trace Context, level 1)."""

import re
from typing import NamedTuple

from .record import Headers

TRACEPARENT = "traceparent"

FORM = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
"""Later versions may add fields after the flags, version 00 may not."""

SAMPLED = 0x01


class TraceParent(NamedTuple):
    """The span that a record continues.

    Attributes:
        trace_id, span_id: in hexadecimal digits.
        sampled: the producer records this trace.
    """

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(headers: Headers | None) -> TraceParent | None:
    """Parse the last `traceparent` header; return None without such a header or if it is invalid."""
    for name, value in reversed(headers or ()):
        if name == TRACEPARENT:
            found = FORM.fullmatch(value or b"")
            if found is None or (found[1] == b"00" and found[5] is not None):
                return None
            return TraceParent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & SAMPLED))
    return None
