"""An answer to the bytes of a result, a refusal to the headers of a dead letter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache

import msgspec
from pydantic_core import to_json

from schemas.dead_letter import DeadLetterHeaders, tried_before
from schemas.labels import ekman_of, sentiment_of
from schemas.result import CE_HEADERS, cloudevents_headers, rfc3339

from .decode import Decoded
from .errors import BadRecord
from .record import Headers, Outgoing, Record

REPLACED = frozenset(CE_HEADERS)
"""Headers of the input that speak of the input's own event and value; the result has its own."""


class Answer(msgspec.Struct, frozen=True):
    """What one text's result says.

    Attributes:
        emotions: label and score of those over their thresholds, best first.
        scores: of all labels, where the operator asks for them.
        cached: taken from the cache.
    """

    emotions: tuple[tuple[str, float], ...]
    scores: Mapping[str, float] | None
    truncated: bool
    cached: bool


@dataclass(frozen=True)
class Encoder:
    """Answers and refusals to records.

    Attributes:
        model: name, version and thresholds, as every result names them.
    """

    model: Mapping[str, str]
    output_topic: str
    dlq_topic: str
    group_id: str
    worker_version: str

    @cached_property
    def _model_json(self) -> bytes:
        return to_json(self.model)

    def result(self, record: Record, decoded: Decoded, answer: Answer, now: datetime) -> Outgoing:
        """The result of *record*: its key, its producer's headers, its timestamp, and the emotions."""
        value = b'{"id":%b,%b,"model":%b,"source":{"topic":%b,"partition":%d,"offset":%d,"timestamp":%b},%b}' % (
            to_json(decoded.id),
            _said(answer.emotions, truncated=answer.truncated, cached=answer.cached)
            if answer.scores is None
            else _said_with_scores(answer),
            self._model_json,
            to_json(record.topic),
            record.partition,
            record.offset,
            to_json(None if record.timestamp_ms is None else rfc3339_of(record.timestamp_ms)),
            # The metadata as it was read: what the producer sent is not ours to parse again.
            b'"tagged_at":"%b","metadata":%b' % (rfc3339(now).encode(), decoded.metadata_json or b"null"),
        )
        own, _ = tried_before(record.headers or ())
        headers = [
            *((name, content) for name, content in own if name.lower() not in REPLACED),
            *cloudevents_headers(decoded.id, source=f"/{record.topic}/{record.partition}/{record.offset}", time=now),
        ]
        return Outgoing(self.output_topic, record.key, value, headers, record.timestamp_ms)

    def dead_letter(self, record: Record, error: BadRecord, now: datetime) -> Outgoing:
        """*record* as it came, byte for byte, with headers that say why it was refused."""
        own, before = tried_before(record.headers or ())
        why = DeadLetterHeaders(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            class_name=f"emotag.worker.{error.stage}",
            exception_class=type(error).__name__,
            exception_message=str(error),
            stage=error.stage,
            # Nothing is retried before it is refused: a batch that the device makes us halve is one try.
            attempts=before + 1,
            consumer_group=self.group_id,
            failed_at=now,
            worker_version=self.worker_version,
        )
        headers: Headers = [*own, *why.to_headers()]
        return Outgoing(self.dlq_topic, record.key, record.value, headers, record.timestamp_ms)


@lru_cache(maxsize=8192)  # of a text that is repeated often, this is always the same
def _said(emotions: tuple[tuple[str, float], ...], *, truncated: bool, cached: bool) -> bytes:
    """The part of a result that its text decides, as the inside of a JSON object."""
    return _said_with_scores(Answer(emotions, None, truncated=truncated, cached=cached))


def _said_with_scores(answer: Answer) -> bytes:
    emotions = dict(answer.emotions)
    return to_json(
        {
            "emotions": [{"label": label, "score": round(score, 4)} for label, score in emotions.items()],
            "sentiment": sentiment_of(emotions),
            "ekman": ekman_of(emotions),
            "scores": answer.scores and {label: round(score, 4) for label, score in answer.scores.items()},
            "truncated": answer.truncated,
            "cached": answer.cached,
        }
    )[1:-1]


def rfc3339_of(timestamp_ms: int) -> str | None:
    """A record's timestamp as RFC 3339; None where it lies outside the years a date can have."""
    seconds, ms = divmod(timestamp_ms, 1000)
    second = _second(seconds)
    return second and f"{second}.{ms:03}Z"


@lru_cache(maxsize=1024)  # records that are read together were mostly written together
def _second(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    except (OverflowError, ValueError, OSError):
        return None
