"""What crosses the wire, as the contract words it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import EKMAN, LABELS, SENTIMENT, DeadLetterHeaders, EmotionResult, TextMessage
from schemas.dead_letter import (
    MAX_MESSAGE_BYTES,
    NAMES,
    Headers,
    put_back_headers,
    tried_before,
    without_error_headers,
)
from schemas.documents import documents
from schemas.labels import ekman_of, sentiment_of
from schemas.result import CE_HEADERS, cloudevents_headers
from worker.decode import Decoded
from worker.encode import Answer, Encoder
from worker.errors import NoText
from worker.record import Record

from .test_documents import RESULT, schema

ENCODER = Encoder(
    model={"name": "emotag-mini", "version": "sha256:aa", "thresholds": "sha256:bb"},
    output_topic="emotions",
    dlq_topic="texts.dlq",
    group_id="g",
    worker_version="1.2.3",
)
NOW = datetime(2026, 11, 23, 7, 0, 0, 123_999, tzinfo=UTC)


def test_the_contracts_example_goes_in_and_comes_out_the_same() -> None:
    """Fields in the contract's order, times with milliseconds and Z."""
    assert json.dumps(RESULT) == json.dumps(json.loads(EmotionResult.from_json(json.dumps(RESULT)).to_json()))


def test_a_result_of_a_later_version_with_more_fields_is_still_read() -> None:
    assert "m-1" == EmotionResult.from_json(json.dumps(RESULT | {"new": {"a": 1}})).id


def test_the_worker_writes_what_the_contract_says() -> None:
    """Built by hand in the worker, for speed; held to the published model and schema here."""
    record = Record("texts", 3, 1234, b"k", b"", [("a", b"1"), ("Content-Type", b"text/plain")], 1_795_417_199_000)
    answer = Answer((("excitement", 0.91204), ("joy", 0.447)), None, truncated=False, cached=False)
    written = ENCODER.result(record, Decoded("a", "m-1"), answer, NOW)
    value = json.loads(written.value or b"")
    schema("emotion-result").validate(value)
    assert json.dumps(RESULT) == json.dumps(value)
    assert (written.topic, written.key, written.timestamp_ms) == ("emotions", b"k", 1_795_417_199_000)
    names = ["a", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"]
    assert [name for name, _ in written.headers] == names


def test_metadata_is_repeated_as_it_came() -> None:
    decoded = Decoded("a", "m", b'{"z":1e3,"a":[null]}')
    written = ENCODER.result(Record("t", 0, 0, None, b""), decoded, Answer((), None, truncated=False, cached=True), NOW)
    assert (written.value or b"").endswith(b'"metadata":{"z":1e3,"a":[null]}}')
    assert "neutral" == json.loads(written.value or b"")["sentiment"]


@pytest.mark.parametrize("timestamp_ms", [None, -1, 0, 253_402_300_800_000, 9_223_372_036_854_775_807])
def test_a_timestamp_that_is_no_date_does_not_stop_the_stream(timestamp_ms: int | None) -> None:
    record = Record("t", 0, 0, None, b"", timestamp_ms=timestamp_ms)
    written = ENCODER.result(record, Decoded("a", "m"), Answer((), None, truncated=False, cached=False), NOW)
    EmotionResult.from_json(written.value or b"")


def test_cloudevents_headers_are_those_of_binary_mode() -> None:
    headers = cloudevents_headers("m-1", source="/texts/3/1234", time=NOW)
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"m-1"),
        ("ce_source", b"/texts/3/1234"),
        ("ce_type", b"emotag.text.tagged.v1"),
        ("ce_time", b"2026-11-23T07:00:00.123Z"),
        ("content-type", b"application/json"),
    ]


def test_the_headers_that_are_written_are_those_that_are_published() -> None:
    written = {name: value.decode() for name, value in cloudevents_headers("m-1", source="/texts/3/1234", time=NOW)}
    schema("emotion-result-headers").validate(written)
    assert list(written) == documents()["emotion-result-headers.schema.json"]["required"]


@pytest.mark.parametrize("name", CE_HEADERS)
def test_a_header_that_speaks_of_the_inputs_own_event_is_not_repeated(name: str) -> None:
    """In whatever case it came: its value would stand beside the result's own."""
    record = Record("t", 0, 0, None, b"", [(name, b"the input's"), (name.title(), b"the input's")])
    written = ENCODER.result(record, Decoded("a", "m"), Answer((), None, truncated=False, cached=False), NOW)
    assert list(CE_HEADERS) == [header for header, _ in written.headers]


def test_the_failure_headers_have_the_contracts_names() -> None:
    connect = ("topic", "partition", "offset", "class.name", "exception.class.name", "exception.message", "stage")
    ours = ("attempts", "consumer.group", "failed.at", "worker.version")
    expected = [f"__connect.errors.{name}" for name in connect] + [f"emotag.errors.{name}" for name in ours]
    assert expected == list(NAMES.values())


def failure(*, topic: str = "t", offset: int = 0, message: str = "m", attempts: int = 1) -> DeadLetterHeaders:
    return DeadLetterHeaders(
        topic=topic,
        partition=0,
        offset=offset,
        class_name="c",
        exception_class="NotJson",
        exception_message=message,
        stage="decode",
        attempts=attempts,
        consumer_group="g",
        failed_at=NOW.replace(microsecond=123_000),
        worker_version="1",
    )


UNICODE = st.text(st.characters(codec="utf-8"))
HEADERS = st.lists(st.tuples(st.sampled_from(["a", *NAMES.values()]) | UNICODE, st.none() | st.binary()))


@given(UNICODE, UNICODE, st.integers(0), st.integers(1))
def test_failure_headers_come_back_as_they_were_written(topic: str, message: str, offset: int, attempts: int) -> None:
    written = failure(topic=topic, offset=offset, message=message, attempts=attempts)
    assert written == DeadLetterHeaders.from_headers(written.to_headers())
    assert message == written.exception_message


@pytest.mark.parametrize("character", ["a", "é", "…", "😀"])
def test_a_long_reason_is_cut_between_characters(character: str) -> None:
    """To 1024 bytes, or the few less that the last whole character leaves; and that is what is read back."""
    message = "x" + character * 2000
    written = failure(message=message)
    assert message.startswith(written.exception_message)
    assert 0 <= MAX_MESSAGE_BYTES - len(written.exception_message.encode()) < 4
    assert written == DeadLetterHeaders.from_headers(written.to_headers())


@given(HEADERS)
def test_taking_the_failure_headers_off_leaves_the_records_own_whatever_their_names(own: Headers) -> None:
    """A record out of another dead-letter queue has headers of the same names, and keeps them."""
    assert own == without_error_headers([*own, *failure().to_headers()])


@given(HEADERS)
def test_where_a_name_stands_twice_emotags_own_is_read(own: Headers) -> None:
    assert failure() == DeadLetterHeaders.from_headers([*own, *failure().to_headers()])


def test_taking_the_failure_headers_off_gives_the_original_back() -> None:
    own = [("a", b"\xff"), ("a", None), ("emotag.errors.other", b"the producer's")]
    record = Record("t", 0, 7, b"k", b"v", own, 5)
    dead = ENCODER.dead_letter(record, NoText("text", "missing"), NOW)
    assert (dead.key, dead.value, dead.timestamp_ms) == (b"k", b"v", 5)
    assert own == without_error_headers(dead.headers)
    why = DeadLetterHeaders.from_headers(dead.headers)
    assert ("NoText", 1) == (why.exception_class, why.attempts)


@given(HEADERS, st.integers(1, 999_999))
def test_a_record_that_is_put_back_has_its_own_headers_and_how_often_it_was_tried(own: Headers, attempts: int) -> None:
    assert (own, attempts) == tried_before(put_back_headers(own, attempts))


@pytest.mark.parametrize("value", [None, b"", b"0", b"-1", b"1.5", b"one", b"1000000", "٣".encode()])
def test_a_number_that_emotag_did_not_count_is_the_producers_own(value: bytes | None) -> None:
    own = [(NAMES["attempts"], value)]
    assert (own, 0) == tried_before(own)


def test_a_whole_dead_letter_that_is_sent_as_it_is_keeps_what_was_said_of_it() -> None:
    """Out of somebody else's queue, by another tool."""
    own = failure().to_headers()
    assert (own, 0) == tried_before(own)


def test_no_result_says_that_its_record_was_put_back_and_a_dead_letter_counts_on() -> None:
    own = [("a", b"\xff"), ("a", None)]
    record = Record("t", 0, 7, b"k", b"v", put_back_headers(own, 2), 5)
    written = ENCODER.result(record, Decoded("a", "m"), Answer((), None, truncated=False, cached=False), NOW)
    assert [*own, *CE_HEADERS] == [*written.headers[:2], *(name for name, _ in written.headers[2:])]
    dead = ENCODER.dead_letter(record, NoText("text", "missing"), NOW)
    assert own == without_error_headers(dead.headers)
    assert 3 == DeadLetterHeaders.from_headers(dead.headers).attempts


def test_headers_that_are_no_dead_letters_are_refused_by_name() -> None:
    """A client gives None for a record without any."""
    with pytest.raises(ValueError, match=r"emotag\.errors\.attempts"):
        DeadLetterHeaders.from_headers(None)
    with pytest.raises(ValueError, match=r"emotag\.errors\.attempts"):
        DeadLetterHeaders.from_headers([(name, b"1") for name in NAMES.values() if not name.endswith("attempts")])


@pytest.mark.parametrize("value", ['{"text": " "}', '{"text": 5}', '{"text": "a", "id": 5}', "{}"])
def test_a_producer_learns_at_once_that_its_message_is_none(value: str) -> None:
    with pytest.raises(ValidationError):
        TextMessage.model_validate_json(value)


def test_half_a_surrogate_pair_is_refused_before_it_fails_to_be_written() -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        TextMessage(text="a\ud800")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_metadata_that_json_cannot_say_is_refused_rather_than_changed(number: float) -> None:
    with pytest.raises(ValidationError):
        TextMessage(text="a", metadata={"a": [number]})
    assert b'{"text":"a","metadata":{"a":null}}' == TextMessage(text="a", metadata={"a": None}).to_json()


@pytest.mark.parametrize("scores", [{"joy": float("nan")}, {"joy": 1.5}, {"joy": -0.1}])
def test_a_score_is_a_probability(scores: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EmotionResult.model_validate(RESULT | {"scores": scores})


def test_every_label_has_one_sentiment_and_all_but_neutral_one_basic_emotion() -> None:
    assert sorted(LABELS) == sorted(label for labels in SENTIMENT.values() for label in labels)
    assert sorted(set(LABELS) - {"neutral"}) == sorted(label for labels in EKMAN.values() for label in labels)
    assert 28 == len(LABELS)


def test_labels_and_groups_are_the_data_sets_own(goemotions: Path) -> None:
    assert list(LABELS) == (goemotions / "emotions.txt").read_text().split()
    ekman = json.loads((goemotions / "ekman_mapping.json").read_text())
    assert {group: list(labels) for group, labels in EKMAN.items()} == ekman
    sentiment = json.loads((goemotions / "sentiment_mapping.json").read_text())
    assert {name: set(labels) for name, labels in sentiment.items()} == {
        name: set(labels) for name, labels in SENTIMENT.items() if name != "neutral"
    }


def test_sentiment_is_the_group_with_the_largest_sum() -> None:
    assert "negative" == sentiment_of({"joy": 0.5, "anger": 0.3, "fear": 0.3})
    assert "neutral" == sentiment_of({})
    assert "neutral" == sentiment_of({"a label of another data set": 1.0})
    assert "positive" == sentiment_of({"anger": 0.5, "joy": 0.5})


def test_basic_emotions_come_strongest_first() -> None:
    assert ["sadness", "joy"] == ekman_of({"joy": 0.5, "grief": 0.3, "remorse": 0.3, "neutral": 0.9})
