"""Messages on the wire are those of the contract."""

import json
from datetime import UTC, datetime
from typing import get_args

import pytest

from emotag_model.scope import rules
from emotag_schemas import DeadLetterHeaders, EmotionResult, result
from emotag_schemas.dead_letter import (
    add_attempts,
    remove_error_headers,
)
from emotag_schemas.documents import build_documents
from emotag_schemas.result import CE_HEADERS, build_cloudevents_headers
from emotag_worker.errors import NoText
from emotag_worker.wire.decode import Decoded
from emotag_worker.wire.encode import RecordEncoder, ResultPart, TextResult
from emotag_worker.wire.record import Record

from .test_documents import RESULT, schema

ENCODER = RecordEncoder(
    model={"name": "emotag-mini", "version": "sha256:aa", "thresholds": "sha256:bb", "precision": "int8"},
    output_topic="emotions",
    dlq_topic="texts.dlq",
    group_id="g",
    worker_version="1.2.3",
)
NOW = datetime(2026, 11, 23, 7, 0, 0, 123_999, tzinfo=UTC)


def test_the_contracts_example_goes_in_and_comes_out_the_same() -> None:
    """Fields in the contract's order, times with milliseconds and Z."""
    assert json.dumps(RESULT) == json.dumps(json.loads(EmotionResult.from_json(json.dumps(RESULT)).to_json()))


def test_the_worker_writes_what_the_contract_says() -> None:
    """The worker builds JSON by hand, for speed; this compares it with the published model and schema."""
    record = Record("texts", 3, 1234, b"k", b"", [("a", b"1"), ("Content-Type", b"text/plain")], 1_795_417_199_000)
    answer = TextResult((("excitement", 0.91204), ("joy", 0.447)), None, False, False, "ok", "en")
    written = ENCODER.encode_result(record, Decoded("a", "m-1"), answer, NOW)
    value = json.loads(written.value or b"")
    schema("emotion-result").validate(value)
    assert json.dumps(RESULT) == json.dumps(value)
    assert (written.topic, written.key, written.timestamp_ms) == ("emotions", b"k", 1_795_417_199_000)
    names = ["a", "ce_specversion", "ce_id", "ce_source", "ce_subject", "ce_type", "ce_time", "content-type"]
    assert [name for name, _ in written.headers] == names
    assert {"ce_source": b"/emotag/g/texts", "ce_subject": b"3/1234"}.items() <= dict(written.headers).items()


def test_the_parts_of_a_long_text_are_written_as_the_schema_says() -> None:
    parts = (ResultPart(0, 9, (("joy", 0.91204), ("love", 0.5))), ResultPart(7, 20, ()))
    answer = TextResult((("joy", 0.91204),), None, False, False, parts=parts)
    written = ENCODER.encode_result(Record("t", 0, 0, None, b""), Decoded("a", "m"), answer, NOW)
    value = json.loads(written.value or b"")
    schema("emotion-result").validate(value)
    joy, love = ({"label": label, "score": score} for label, score in (("joy", 0.912), ("love", 0.5)))
    expected = [{"start": 0, "end": 9, "emotions": [joy, love]}, {"start": 7, "end": 20, "emotions": []}]
    assert expected == value["parts"]
    assert [joy] == value["emotions"]
    assert json.loads(EmotionResult.from_json(written.value or b"").to_json()) == value


def test_metadata_is_repeated_as_it_came() -> None:
    decoded = Decoded("a", "m", b'{"z":1e3,"a":[null]}')
    answer = TextResult((), None, truncated=False, cached=True)
    written = ENCODER.encode_result(Record("t", 0, 0, None, b""), decoded, answer, NOW)
    assert (written.value or b"").endswith(b'"metadata":{"z":1e3,"a":[null]}}')
    assert "neutral" == json.loads(written.value or b"")["sentiment"]


@pytest.mark.parametrize("scores", [None, {"joy": 0.1}])
def test_the_scope_of_a_text_is_written_whatever_else_the_result_has(scores: dict[str, float] | None) -> None:
    """Two results with the same emotions can have two scopes."""
    for scope, language in (("other_language", "ko"), ("unreadable", None)):
        answer = TextResult((), scores, False, False, scope, language)  # type: ignore[arg-type]
        written = ENCODER.encode_result(Record("t", 0, 0, None, b""), Decoded("a", "m"), answer, NOW)
        found = EmotionResult.from_json(written.value or b"")
        assert (scope, language) == (found.scope, found.language)


def test_the_scopes_of_the_model_are_those_of_the_schema() -> None:
    assert get_args(result.Scope) == get_args(rules.Scope)


def test_the_headers_that_are_written_are_those_that_are_published() -> None:
    headers = build_cloudevents_headers("m-1", source="/emotag/tags/texts", subject="3/1234", time=NOW)
    written = {name: value.decode() for name, value in headers}
    schema("emotion-result-headers").validate(written)
    assert list(written) == build_documents()["emotion-result-headers.schema.json"]["required"]


@pytest.mark.parametrize("name", CE_HEADERS)
def test_a_header_that_speaks_of_the_inputs_own_event_is_not_repeated(name: str) -> None:
    """In any case: otherwise a result would have the value twice."""
    record = Record("t", 0, 0, None, b"", [(name, b"the input's"), (name.title(), b"the input's")])
    written = ENCODER.encode_result(record, Decoded("a", "m"), TextResult((), None, truncated=False, cached=False), NOW)
    assert list(CE_HEADERS) == [header for header, _ in written.headers]


def test_taking_the_failure_headers_off_gives_the_original_back() -> None:
    own = [("a", b"\xff"), ("a", None), ("emotag.errors.other", b"the producer's")]
    record = Record("t", 0, 7, b"k", b"v", own, 5)
    dead = ENCODER.encode_dead_letter(record, NoText("text", "missing"), NOW)
    assert (dead.key, dead.value, dead.timestamp_ms) == (b"k", b"v", 5)
    assert own == remove_error_headers(dead.headers)
    why = DeadLetterHeaders.from_headers(dead.headers)
    assert ("NoText", "decode", 1) == (why.exception_class, why.stage, why.attempts)
    assert ("texts.dlq", "g", "1.2.3") == (dead.topic, why.consumer_group, why.worker_version)


def test_no_result_says_that_its_record_was_put_back_and_a_dead_letter_counts_on() -> None:
    own = [("a", b"\xff"), ("a", None)]
    record = Record("t", 0, 7, b"k", b"v", add_attempts(own, 2), 5)
    written = ENCODER.encode_result(record, Decoded("a", "m"), TextResult((), None, truncated=False, cached=False), NOW)
    assert [*own, *CE_HEADERS] == [*written.headers[:2], *(name for name, _ in written.headers[2:])]
    dead = ENCODER.encode_dead_letter(record, NoText("text", "missing"), NOW)
    assert own == remove_error_headers(dead.headers)
    assert 3 == DeadLetterHeaders.from_headers(dead.headers).attempts
