"""The `traceparent` header, as the standard defines it."""

import pytest

from emotag_worker.wire.traceparent import TraceParent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def parse(value: str | None) -> TraceParent | None:
    return parse_traceparent([("traceparent", None if value is None else value.encode())])


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True), ("02", False)])
def test_the_last_bit_of_the_flags_says_whether_the_trace_is_sampled(flags: str, sampled: bool) -> None:
    assert TraceParent(TRACE, SPAN, sampled) == parse(f"00-{TRACE}-{SPAN}-{flags}")


def test_a_later_version_may_have_more_fields() -> None:
    assert TraceParent(TRACE, SPAN, True) == parse(f"cc-{TRACE}-{SPAN}-01-more")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_header_is_ignored(value: str | None) -> None:
    assert parse(value) is None


def test_the_last_header_counts() -> None:
    good = ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert parse_traceparent([("traceparent", b"bad"), good, ("tracestate", b"a=b")]) is not None
    assert parse_traceparent([good, ("traceparent", b"bad")]) is None


def test_without_the_header_there_is_no_trace() -> None:
    assert parse_traceparent(None) is parse_traceparent([("Traceparent", b"x")]) is None
