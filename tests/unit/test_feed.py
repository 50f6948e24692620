"""Lines to records of the input topic."""

import io
from typing import cast

import pytest
from confluent_kafka import Producer

from worker import settings
from worker.delivery import DeliveryFailures
from worker.feed import FeedIncomplete, feed

from .test_lines import Broken

DEFAULTS = settings.load()
TEXT = settings.load(flags={"input": {"format": "text"}})


class Taken:
    """A producer whose broker takes everything."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.flushed = 0

    def produce(self, _: str, value: bytes) -> None:
        self.values.append(value)

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        self.flushed = len(self.values)
        return 0


def fed(raw: bytes | io.BytesIO, given: settings.Settings, taken: Taken) -> int:
    file = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    stream = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
    return feed(cast("Producer", taken), DeliveryFailures(), stream, given)


def test_objects_stand_as_they_are_and_other_lines_are_texts() -> None:
    taken = Taken()
    assert 3 == fed('\ufeffa "b"\r\n\n{"text": "é"}\r\n[no object]\n'.encode(), DEFAULTS, taken)
    assert [b'{"text": "a \\"b\\""}', '{"text": "é"}'.encode(), b'{"text": "[no object]"}'] == taken.values


def test_an_object_that_is_none_is_named_and_not_sent_as_a_text() -> None:
    """It is a message gone wrong; what was before it stays sent."""
    taken = Taken()
    with pytest.raises(FeedIncomplete, match=r"line 2 begins as a JSON object.*1 records before it"):
        fed(b'a\n{"text": "b\nc\n', DEFAULTS, taken)
    assert [b'{"text": "a"}'] == taken.values


def test_with_format_text_every_line_stands_as_it_is() -> None:
    taken = Taken()
    assert 2 == fed(b'a\n{"text": "b"}\n', TEXT, taken)
    assert [b"a", b'{"text": "b"}'] == taken.values


@pytest.mark.parametrize("given", [DEFAULTS, TEXT], ids=["json", "text"])
@pytest.mark.parametrize("bad", [b"\xff", b'{"text": "\xe9"}', b"\xed\xa0\x80", b"caf\xc3"])
def test_a_line_that_is_no_utf_8_is_named_and_what_was_before_it_is_flushed(
    bad: bytes, given: settings.Settings
) -> None:
    taken = Taken()
    with pytest.raises(FeedIncomplete, match="line 1003 is not UTF-8; 1001 records before it"):
        fed(b"a\n" * 1001 + b"\n" + bad + b"\nafter\n", given, taken)
    assert 1001 == taken.flushed


def test_a_stream_that_breaks_off_says_where_and_what_was_before_is_flushed() -> None:
    taken = Taken()
    with pytest.raises(FeedIncomplete, match="nothing after line 2 could be read"):
        fed(Broken(b"a\nb\n"), DEFAULTS, taken)
    assert 2 == taken.flushed
