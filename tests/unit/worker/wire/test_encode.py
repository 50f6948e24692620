"""Results and dead letters as bytes. tests/contract holds them to the published models."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from pydantic_core import to_json

from emotag_schemas.dead_letter import DeadLetterHeaders, StubHeaders
from emotag_schemas.labels import derive_ekman, derive_sentiment
from emotag_worker.errors import DeviceRejected, OutputRefused, Tombstone
from emotag_worker.wire.decode import Decoded
from emotag_worker.wire.encode import (
    MAX_LETTER_BYTES,
    MAX_STUB_KEY_BYTES,
    RecordEncoder,
    TextResult,
    format_timestamp,
    list_emotions,
    round_scores,
)
from emotag_worker.wire.placement import Placement
from emotag_worker.wire.record import Record

ENCODER = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "1.2")
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
RECORD = Record("texts", 1, 2, b"key", b"value", [("own", None)], 1_000)


def test_the_source_of_an_event_is_a_uri_reference_whatever_the_name_of_the_group() -> None:
    encoder = replace(ENCODER, group_id="emo tag/ü")
    answer = TextResult((), None, truncated=False, cached=False)
    headers = dict(encoder.encode_result(RECORD, Decoded("text", "id"), answer, NOW).headers)
    assert (b"/emotag/emo%20tag%2F%C3%BC/texts", b"1/2") == (headers["ce_source"], headers["ce_subject"])


@pytest.mark.parametrize(
    "name",
    [
        *("content-type", "Content-Type", "content-encoding", "__value_schema_id"),
        *("ce_dataschema", "CE_DataContentType", "ce_subject", "ce_dataref"),
    ],
)
def test_a_header_that_describes_the_value_of_the_input_is_not_copied(name: str) -> None:
    """The result has another value: a consumer that believed the header could not read it."""
    record = msgspec.structs.replace(RECORD, headers=[(name, b"stale"), ("ce_tenant", b"a"), ("__key_schema_id", b"1")])
    answer = TextResult((), None, truncated=False, cached=False)
    result = ENCODER.encode_result(record, Decoded("text", "id"), answer, NOW)
    assert b"stale" not in [content for _, content in result.headers]
    for written in (result, ENCODER.encode_tombstone(record)):
        assert [("ce_tenant", b"a"), ("__key_schema_id", b"1")] == written.headers[:2]
    letter = ENCODER.encode_dead_letter(record, Tombstone(), NOW)
    assert (name, b"stale") == letter.headers[0]


def test_scores_have_four_digits() -> None:
    assert [{"label": "joy", "score": 0.1235}] == list_emotions([("joy", 0.123456)])
    assert {"joy": 0.1235, "fear": 0.0} == round_scores({"joy": 0.123456, "fear": 0.00001})


@pytest.mark.parametrize("labels", [[], ["joy"], ["neutral"], ["own label"], ["fear", "joy", "love"], ["joy", "anger"]])
def test_emotions_are_encoded_as_the_functions_for_dictionaries_say(labels: list[str]) -> None:
    """The encoder builds these fields from prepared parts."""
    for units in range(0, 65_536, 97):
        emotions = tuple((label, units / 65_535 / (number + 1)) for number, label in enumerate(labels))
        answer = TextResult(emotions, None, truncated=False, cached=False)
        value = ENCODER.encode_result(RECORD, Decoded("text", "id"), answer, NOW).value or b""
        expected = {
            "emotions": list_emotions(emotions),
            "sentiment": derive_sentiment(dict(emotions)),
            "ekman": derive_ekman(dict(emotions)),
        }
        assert to_json(expected)[1:-1] in value


@pytest.mark.parametrize("scores", [None, {"joy": 0.75, "fear": 0.12347}])
def test_scores_of_all_labels_are_rounded_or_null(scores: dict[str, float] | None) -> None:
    answer = TextResult((("joy", 0.75),), scores, truncated=True, cached=False)
    written = ENCODER.encode_result(RECORD, Decoded("text", "id"), answer, NOW)
    value = json.loads(written.value or b"")
    assert (None if scores is None else {"joy": 0.75, "fear": 0.1235}, True) == (value["scores"], value["truncated"])


def test_a_dead_letter_of_the_device_says_so_without_its_message() -> None:
    """The message of a kernel may contain anything."""
    written = ENCODER.encode_dead_letter(RECORD, DeviceRejected(RuntimeError("secret")), NOW)
    why = DeadLetterHeaders.from_headers(written.headers)
    assert ("tag", True, False) == (why.stage, "RuntimeError" in why.exception_message, "secret" in str(why))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"key", b"key"),
        (None, b"texts-1-2"),
        (b"k" * MAX_STUB_KEY_BYTES, b"k" * MAX_STUB_KEY_BYTES),
        (b"k" * 2000, b"texts-1-2"),
    ],
    ids=["short", "none", "as long as allowed", "long"],
)
def test_a_stub_has_the_reason_and_what_identifies_the_record(key: bytes | None, expected: bytes) -> None:
    """Nothing else: whatever the brokers refuse, they cannot refuse it for its size or for a missing key."""
    record = msgspec.structs.replace(RECORD, key=key, headers=[("own", b"h" * 10**6)])
    letter = ENCODER.encode_dead_letter(record, OutputRefused("emotions", "too large"), NOW)
    stub = ENCODER.encode_stub(letter, record, "Broker: Message size too large")
    assert ("dead", expected, None, 1_000) == (stub.topic, stub.key, stub.value, stub.timestamp_ms)
    placed = ENCODER.encode_stub(msgspec.structs.replace(letter, partition=3), record, "refused")
    assert (None, 3) == (stub.partition, placed.partition)
    assert DeadLetterHeaders.from_headers(letter.headers) == DeadLetterHeaders.from_headers(stub.headers)
    found = StubHeaders.from_headers(stub.headers)
    digest = hashlib.sha256(b"value").hexdigest()
    assert found == StubHeaders(value_bytes=5, value_sha256=digest, refusal="Broker: Message size too large")
    assert "own" not in dict(stub.headers)


def test_a_stub_of_a_null_value_has_no_bytes() -> None:
    record = msgspec.structs.replace(RECORD, value=None)
    stub = ENCODER.encode_stub(ENCODER.encode_dead_letter(record, Tombstone(), NOW), record, "refused")
    found = StubHeaders.from_headers(stub.headers)
    assert found is not None
    assert 0 == found.value_bytes


@pytest.mark.parametrize(
    ("timestamp_ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_795_417_199_007, "2026-11-23T06:59:59.007Z"),
        (2**63 - 1, None),
    ],
)
def test_a_timestamp_is_formatted_in_utc_if_its_year_has_four_digits(timestamp_ms: int, expected: str | None) -> None:
    assert expected == format_timestamp(timestamp_ms)


def test_results_and_dead_letters_have_the_partition_that_their_placement_chooses() -> None:
    answer, error = TextResult((), None, truncated=False, cached=False), DeviceRejected(ValueError("x"))
    for placement, expected in ((Placement(), None), (Placement(4), 1), (Placement(1), 0)):
        placed = replace(ENCODER, results=placement)
        assert expected == placed.encode_result(RECORD, Decoded("text", "id"), answer, NOW).partition
        placed = replace(ENCODER, dead_letters=placement)
        assert expected == placed.encode_dead_letter(RECORD, error, NOW).partition


def test_a_result_has_the_time_of_its_input_or_of_its_writing_and_a_dead_letter_that_of_its_record() -> None:
    """A replay gives the record its timestamp back."""
    answer, error = TextResult((), None, truncated=False, cached=False), DeviceRejected(ValueError("x"))
    for input_timestamps, expected in ((True, 1_000), (False, None)):
        encoder = replace(ENCODER, input_timestamps=input_timestamps)
        assert expected == encoder.encode_result(RECORD, Decoded("text", "id"), answer, NOW).timestamp_ms
        assert encoder.encode_dead_letter(RECORD, error, NOW).timestamp_ms == 1_000


def test_a_value_that_consumers_could_not_decompress_is_left_out_of_its_dead_letter() -> None:
    record = Record("texts", 0, 7, b"k", b"a" * (MAX_LETTER_BYTES + 1))
    letter = ENCODER.encode_dead_letter(record, Tombstone(), datetime.now(UTC))
    stub = StubHeaders.from_headers(letter.headers)
    assert letter.value is None
    assert stub is not None
    assert MAX_LETTER_BYTES + 1 == stub.value_bytes
    assert ENCODER.encode_dead_letter(msgspec.structs.replace(record, value=b"a"), Tombstone(), datetime.now(UTC)).value
