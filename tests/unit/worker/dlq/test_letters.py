"""Dead letters of a topic in memory: reading and rendering them."""

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError

from emotag_worker.dlq.letters import (
    DeadLetter,
    list_reasons,
    read_extent,
    read_letters,
    render_header,
    render_line,
    render_object,
    render_summary,
    require_reason,
)
from emotag_worker.errors import BadRecord, BrokerUnavailable, Denied, NoSuchReason

from .scripted import DeadLetters, Letter, dead_letter_headers, stub_headers

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EOF_ = KafkaError(KafkaError._PARTITION_EOF)


def read(topic: DeadLetters, first: int = 0) -> list[DeadLetter]:
    ranges = {0: (first, topic.end)}
    return list(read_letters(cast("Consumer", topic), "texts.dlq", ranges, within_s=0.01))


def one(**keywords: bytes | None) -> DeadLetter:
    value = keywords.get("value", b"value")
    (letter,) = read(DeadLetters([Letter(0, dead_letter_headers(failed_at=NOON), 0, value)], end=1))
    return letter


def test_letters_are_read_from_the_first_offset_to_before_the_last() -> None:
    topic = DeadLetters([Letter(offset) for offset in range(6)], end=4)
    assert [1, 2, 3] == [letter.record.offset for letter in read(topic, first=1)]


def test_offsets_without_records_do_not_keep_the_reader_waiting() -> None:
    """The last offset of a transaction belongs to no record: the reader must notice the end of the partition."""
    topic = DeadLetters([Letter(0), Letter(2, failure=EOF_)], end=2)
    assert [0] == [letter.record.offset for letter in read(topic)]


def test_an_empty_range_reads_nothing() -> None:
    assert [] == read(DeadLetters([Letter(0)], end=0))


def test_brokers_that_are_silent_for_too_long_are_given_up() -> None:
    with pytest.raises(BrokerUnavailable, match="reading dead letters"):
        read(DeadLetters([Letter(0)], end=2))


def test_an_error_before_the_silence_is_its_cause() -> None:
    topic = DeadLetters([Letter(0, failure=KafkaError(KafkaError.LEADER_NOT_AVAILABLE))], end=2)
    with pytest.raises(BrokerUnavailable, match="is not ready: Broker: Leader not available"):
        read(topic)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Denied),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, BrokerUnavailable),
    ],
)
def test_only_a_refusal_of_the_topic_counts(code: int, expected: type[Exception]) -> None:
    """A reader does not use its group."""
    with pytest.raises(expected):
        read(DeadLetters([Letter(0, failure=KafkaError(code))], end=2))


def test_the_extent_is_that_of_each_partition() -> None:
    assert {0: (0, 7)} == read_extent(cast("Consumer", DeadLetters([], end=7)), "texts.dlq")


def test_a_record_of_somebody_else_has_no_reason() -> None:
    (letter,) = read(DeadLetters([Letter(0, [("a", b"b")])], end=1))
    assert ("unknown", None) == (letter.reason, letter.why)
    assert "texts.dlq-0@0 not a dead letter of emotag" == " ".join(render_line(letter, state=None, texts=False).split())
    shown = render_object(letter, state=None, texts=False)
    assert [None] * 3 == [shown[name] for name in ("state", "stage", "message")]


def test_an_object_has_the_place_and_the_reason_and_no_text() -> None:
    assert {
        "partition": 0,
        "offset": 0,
        "state": "open",
        "reason": "NoText",
        "message": "text is missing",
        "stage": "decode",
        "failed_at": "2026-11-23T12:00:00.000Z",
        "attempts": 1,
        "group": "emotag",
        "stub": None,
        "input": {"topic": "texts", "partition": 0, "offset": 0},
    } == render_object(one(), state="open", texts=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"a", {"value": "a"}), (None, {"value": None}), (b"\xff", {"value_base64": "/w=="})],
)
def test_texts_are_shown_on_request_and_other_bytes_as_base64(
    value: bytes | None, shown: dict[str, str | None]
) -> None:
    found = render_object(one(value=value), state="open", texts=True)
    assert shown == {name: each for name, each in found.items() if name.startswith("value")}
    assert "key" == found["key"]


def test_a_line_shows_the_value_on_request_and_on_one_line() -> None:
    letter = one(value=b"a\nb\x1b")
    header, line = render_header("texts.dlq", "texts"), render_line(letter, state="done", texts=False)
    shown = "texts.dlq-0@0 2026-11-23T12:00:00.000Z done NoText decode texts-0@0 text is missing"
    assert shown == " ".join(line.split())
    assert [line.index(word) for word in ("2026", "done", "NoText", "decode", "texts-0", "text is")] == [
        header.index(word) for word in ("FAILED AT", "STATE", "REASON", "STAGE", "INPUT", "MESSAGE")
    ]
    assert "–" == render_line(letter, state=None, texts=False).split()[2]
    assert [line, "    a b "] == render_line(letter, state="done", texts=True).split("\n")


@pytest.mark.parametrize("error", BadRecord.__subclasses__(), ids=lambda kind: kind.__name__)
def test_no_column_runs_into_the_next(error: type[BadRecord]) -> None:
    letter = one()
    assert letter.why
    why = letter.why.model_copy(update={"exception_class": error.__name__, "stage": error.stage})
    line = render_line(replace(letter, why=why), state="open", texts=False)
    assert [error.__name__, error.stage, "texts-0@0"] == line.split()[3:6]


def test_a_stub_shows_what_is_left_of_the_record() -> None:
    (letter,) = read(DeadLetters([Letter(0, stub_headers(failed_at=NOON), value=None)], end=1))
    line = render_line(letter, state="open", texts=False)
    assert line.endswith("text is missing; stub without the value of 5 bytes (too large)")
    shown = render_object(letter, state="open", texts=False)["stub"]
    digest = hashlib.sha256(b"value").hexdigest()
    assert {"value_bytes": 5, "value_sha256": digest, "refusal": "too large"} == shown


def test_a_summary_counts_each_reason() -> None:
    assert "0 dead letters in dlq" == render_summary(Counter(), topic="dlq")
    assert "1 dead letter in dlq" == render_summary(Counter(NoText=1), topic="dlq").split("\n")[0]
    lines = render_summary(Counter(NoText=1, NotJson=2), topic="dlq").split("\n")
    assert ["3 dead letters in dlq", "NotJson 2", "NoText 1"] == [" ".join(line.split()) for line in lines]


def test_the_reason_in_a_summary_controls_no_terminal() -> None:
    """Anyone can write the headers of a dead letter."""
    assert render_summary(Counter({"\x1b[2J\u202e": 1}), topic="dlq").replace("\n", "").isprintable()


def test_only_reasons_of_a_dead_letter_are_accepted() -> None:
    assert "NotJson" in list_reasons()
    assert ["NotJson", None] == [require_reason("NotJson"), require_reason(None)]
    with pytest.raises(NoSuchReason, match=r"--reason BadRecord is not a reason; use one of: .*NoText, NotJson"):
        require_reason("BadRecord")


@pytest.mark.parametrize("given", ["Notext", "NOTEXT", "NoTexts"])
def test_a_mistyped_reason_is_corrected(given: str) -> None:
    with pytest.raises(NoSuchReason, match=rf"--reason {given} is not a reason; did you mean NoText\? use one of: "):
        require_reason(given)
