"""The trace that a record belongs to, as its headers say it (W3C Trace Context, level 1)."""

import re
from typing import NamedTuple

from .record import Headers

TRACEPARENT = "traceparent"

FORM = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
"""Versions to come may say more behind the flags, the first one may not."""

SAMPLED = 0x01


class TraceParent(NamedTuple):
    """Which span of which trace came before, in hexadecimal digits; and whether anybody records it."""

    trace_id: str
    span_id: str
    sampled: bool


def traceparent(headers: Headers | None) -> TraceParent | None:
    """What the last such header says; None where there is none, or it says nothing that can be followed."""
    for name, value in reversed(headers or ()):
        if name == TRACEPARENT:
            found = FORM.fullmatch(value or b"")
            if found is None or (found[1] == b"00" and found[5] is not None):
                return None
            return TraceParent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & SAMPLED))
    return None
