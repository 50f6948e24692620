"""Each record, whatever its bytes, gets one result or one dead letter, and its neighbors are unharmed."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emotag_model.tagger import EmotionTagger
from emotag_worker.wire.record import Headers, Outgoing, Record
from tests.fuzz.batch import Batch
from tests.mixture import BAD, OTHER_BAD

NOW = datetime(2026, 11, 25, tzinfo=UTC)
TIMES = re.compile(rb'"tagged_at":"[^"]*"')

ODD_TEXTS = [
    "\u202eright to left\u202c",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e" + "\u0301" * 5000,
    "\x00",
    "a\x00b",
    "\ufeff",
    "\U0010ffff",
    "ﷺ" * 300,
    "[CLS][SEP][PAD][MASK]",
    "word" * 250_000,
    "\u200b",
    "\x1b[31mred",
    "ⅷ ½ ² ﬁ",
]
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=60) | st.text(alphabet="aб漢🙂\u0301 \n", max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
RAW = [
    b"[" * 10_000,
    b'{"text": "a", "text": "b"}',
    b'{"text": "a", "metadata": {"n": ' + b"9" * 5000 + b"}}",
    b'{"text": "a", "metadata": {"n": -1e-999}}',
    b'{"text": "a", "id": ""}',
    b'\xef\xbb\xbf{"text": "a"}',
    '{"text": "a"}'.encode("utf-16"),
    b'{"text": "\\ud83d\\ude00"}',
    b'{"text": "\\ud83d"}',
    b'{"text": "a\xc3"}',
    b'{"text": "\xed\xa0\x80"}',
    b'{"text": "\xc0\xaf"}',
    b'{"text": "a"} trailing',
    b"NaN",
    b"\x00" * 100,
    *[sent.value for sent in (*BAD.values(), *OTHER_BAD)],
]


def message(fields: Mapping[str, Any]) -> bytes:
    """Encode as JSON, also values that are not valid JSON."""
    return json.dumps(fields).encode()


VALUES = (
    st.sampled_from(RAW)
    | st.binary(max_size=80)
    | st.dictionaries(st.sampled_from(["text", "id", "metadata", "other"]), JSON).map(message)
    | TEXTS.map(lambda text: message({"text": text}))
)
HEADERS: st.SearchStrategy[Headers | None] = st.none() | st.lists(
    st.tuples(st.text(max_size=8) | st.sampled_from(["", "ce_id", "traceparent"]), st.none() | st.binary(max_size=20)),
    max_size=4,
)
TIMESTAMPS = st.none() | st.integers(-(2**63), 2**63 - 1)
KEYS = st.none() | st.binary(max_size=12) | st.just(b"k" * 5000)
RECORDS = st.builds(
    Record,
    topic=st.just("texts"),
    partition=st.just(0),
    offset=st.integers(0, 2**40),
    key=KEYS,
    value=VALUES,
    headers=HEADERS,
    timestamp_ms=TIMESTAMPS,
)
GOOD = [
    Record("texts", 0, 1, b"k", b'{"text": "What a wonderful day!", "id": "one"}', [("h", b"v")], 5),
    Record("texts", 0, 3, None, b'{"text": "I am so sorry.", "metadata": {"a": 1}}', [], None),
]


@pytest.fixture(scope="module")
def batch(tagger: EmotionTagger) -> Batch:
    return Batch(tagger)


def timeless(written: Sequence[Outgoing]) -> list[tuple[object, ...]]:
    """Return the written records without their times."""
    return [
        (
            out.topic,
            out.key,
            TIMES.sub(b"", out.value or b""),
            [header for header in out.headers if header[0] != "ce_time"],
            out.timestamp_ms,
        )
        for out in written
    ]


@given(RECORDS)
@settings(max_examples=150)
def test_any_record_gets_one_answer_and_its_neighbours_theirs(batch: Batch, record: Record) -> None:
    """The neighbors' results have the same bytes as without it; a dead letter has the bytes of the original."""
    alone = timeless(batch.write(GOOD))
    first, odd, last = batch.write([GOOD[0], record, GOOD[1]])
    assert alone == timeless([first, last])
    assert odd.key == record.key
    if odd.topic == "dead":
        assert odd.value == record.value
        own = list(record.headers or ())
        assert own == list(odd.headers[: len(own)])
        assert odd.timestamp_ms == record.timestamp_ms
    else:
        assert "emotions" == odd.topic


@given(TEXTS)
@example("not a JSON ")
def test_no_refusal_repeats_what_was_written(batch: Batch, text: str) -> None:
    """Not in the headers with the reason, which logs and dashboards show. Ten equal characters are no coincidence.

    Unless they are words of the reason itself.
    """

    def reasons(value: bytes) -> bytes:
        (written,) = batch.write([Record("texts", 0, 1, None, value, [], 5)])
        return b" ".join(content or b"" for _, content in written.headers) if written.topic == "dead" else b""

    bad: tuple[Callable[[str], bytes], ...] = (
        lambda text: message({"text": {text: 1}}),
        lambda text: message({"id": [text], "text": "a"}),
        lambda text: text.encode() + b'{"',
    )
    if len(text) > 10:
        shown = text[:1000].encode("utf-8", "surrogatepass")
        for value in bad:
            assert shown not in reasons(value(text)) or shown in reasons(value("another"))
