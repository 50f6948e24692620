"""Results as consumers read them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from emotag_schemas import EmotionResult
from emotag_schemas.result import build_cloudevents_headers, format_rfc3339

NOW = datetime(2026, 11, 23, 7, 0, 0, 123_999, tzinfo=UTC)
RESULT: dict[str, Any] = {
    "id": "m-1",
    "emotions": [{"label": "joy", "score": 0.447}],
    "sentiment": "positive",
    "ekman": ["joy"],
    "truncated": False,
    "cached": False,
    "model": {"name": "emotag-mini", "version": "sha256:aa", "thresholds": "sha256:bb", "precision": "int8"},
    "source": {"topic": "texts", "partition": 3, "offset": 1234},
    "tagged_at": "2026-11-23T07:00:00.123Z",
}


def test_cloudevents_headers_are_those_of_binary_mode() -> None:
    headers = build_cloudevents_headers("m-1", source="/emotag/tags/texts", subject="3/1234", time=NOW)
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"m-1"),
        ("ce_source", b"/emotag/tags/texts"),
        ("ce_subject", b"3/1234"),
        ("ce_type", b"emotag.text.tagged.v1"),
        ("ce_time", b"2026-11-23T07:00:00.123Z"),
        ("content-type", b"application/json"),
    ]


def test_a_result_of_a_later_version_with_more_fields_is_still_read() -> None:
    assert "m-1" == EmotionResult.from_json(json.dumps(RESULT | {"new": {"a": 1}})).id


@pytest.mark.parametrize("scores", [{"joy": float("nan")}, {"joy": 1.5}, {"joy": -0.1}])
def test_a_score_is_a_probability(scores: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EmotionResult.model_validate(RESULT | {"scores": scores})


def test_fields_that_can_be_null_may_be_missing_and_are_always_written() -> None:
    result = EmotionResult.from_json(json.dumps(RESULT))
    assert (None, None, None) == (result.scores, result.metadata, result.source.timestamp)
    written = json.loads(result.to_json())
    assert ("ok", None) == (result.scope, result.language)  # of a worker without scopes
    assert RESULT.keys() | {"scores", "parts", "metadata", "scope", "language"} == written.keys()
    assert {**RESULT["source"], "timestamp": None} == written["source"]


@pytest.mark.parametrize("change", [{"ekman": ["neutral"]}, {"tagged_at": "2026-11-23T07:00:00"}, {"source": None}])
def test_another_value_is_no_result(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmotionResult.from_json(json.dumps(RESULT | change))


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert "2026-11-23T07:00:00.123Z" == format_rfc3339(NOW)
    assert "2026-11-23T07:00:00.000Z" == format_rfc3339(datetime(2026, 11, 23, 9, tzinfo=timezone(timedelta(hours=2))))
