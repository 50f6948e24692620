"""Encode an answer as the bytes of a result, and a bad record as a dead letter."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic_core import to_json

from emotag_schemas.dead_letter import NAMES, DeadLetterHeaders, StubHeaders, split_attempts
from emotag_schemas.labels import derive_ekman, derive_sentiment
from emotag_schemas.result import CE_HEADERS, Scope, build_cloudevents_headers, format_rfc3339
from emotag_worker.errors import BadRecord

from .decode import Decoded
from .placement import Placement
from .record import Headers, Outgoing, Record, format_place

if TYPE_CHECKING:  # at run time this would import numpy into commands that do not need it
    from emotag_model.reasons.spans import ReasonSpan

REPLACED = frozenset(CE_HEADERS) | {
    *("content-encoding", "__value_schema_id"),
    *("ce_datacontenttype", "ce_datacontentencoding", "ce_dataschema", "ce_dataref"),
}
"""Headers, in lower case, that describe the input's own event and value. The result has another event and value."""

MAX_LETTER_BYTES = 32 * 1024 * 1024
"""A dead letter with a larger value becomes a stub: librdkafka does not decompress zstd to more than 100 MB, so its
consumers could not read the letter, and would stand still at it."""

MAX_STUB_KEY_BYTES = 1024
"""The largest key that a stub repeats: the key may be the reason why the brokers refuse the dead letter."""


SCORE_UNITS = 10_000
"""A score has four digits."""

TombstoneAction = Literal["forward", "skip", "dead_letter"]
"""The handling of a record without a value: the values of `input.tombstones` without `auto`."""


class ResultPart(msgspec.Struct, frozen=True):
    """The emotions of one part of a long text, and its characters."""

    start: int
    end: int
    emotions: tuple[tuple[str, float], ...]


class TextResult(msgspec.Struct, frozen=True):
    """The emotions of one text.

    Attributes:
        emotions: label and score of the emotions over their thresholds, best first.
        scores: of all labels, if the settings ask for them.
        cached: the answer was read from the cache.
        scope, language: as in a result.
        parts: of a long text that was read in windows; None for every other text.
        reasons: of each emotion, the spans of the text that carry its score; None if the settings ask for none.
    """

    emotions: tuple[tuple[str, float], ...]
    scores: Mapping[str, float] | None
    truncated: bool
    cached: bool
    scope: Scope = "ok"
    language: str | None = None
    parts: tuple[ResultPart, ...] | None = None
    reasons: "tuple[tuple[ReasonSpan, ...], ...] | None" = None


@dataclass(frozen=True)
class RecordEncoder:
    """Encodes results and dead letters.

    Attributes:
        model: name, version, thresholds and precision, as every result contains them.
        results, dead_letters: the rules for their partitions.
        input_timestamps: results have the timestamp of their input record; without it, the time of writing.
        tombstones: the handling of records without a value.
    """

    model: Mapping[str, str]
    output_topic: str
    dlq_topic: str
    group_id: str
    worker_version: str
    results: Placement = field(default_factory=Placement)
    dead_letters: Placement = field(default_factory=Placement)
    input_timestamps: bool = True
    tombstones: TombstoneAction = "dead_letter"

    @cached_property
    def _source_prefix(self) -> str:
        """The beginning of `ce_source`. A group's name can have any characters, and a URI cannot."""
        return f"/emotag/{quote(self.group_id, safe='')}/"

    @cached_property
    def _model_json(self) -> bytes:
        return to_json(self.model)

    def encode_result(self, record: Record, decoded: Decoded, answer: TextResult, now: datetime) -> Outgoing:
        """Encode the result of *record*: its key, its producer's headers, and the emotions."""
        timestamp = None if record.timestamp_ms is None else format_timestamp(record.timestamp_ms)
        value = b'{"id":%b,%b,"model":%b,"source":{%b,"offset":%d,"timestamp":%b},"tagged_at":"%b","metadata":%b}' % (
            to_json(decoded.id),
            _encode_emotions(answer.emotions, answer.truncated, answer.cached, answer.scope, answer.language)
            if answer.scores is None and answer.parts is None and answer.reasons is None
            else _encode_text_result(answer),
            self._model_json,
            _encode_partition(record.topic, record.partition),
            record.offset,
            b"null" if timestamp is None else b'"%b"' % timestamp.encode(),
            format_rfc3339(now).encode(),
            # The metadata's bytes are copied, not parsed again: a consumer gets exactly what the producer wrote.
            decoded.metadata_json or b"null",
        )
        source, subject = self._source_prefix + record.topic, f"{record.partition}/{record.offset}"
        event = build_cloudevents_headers(decoded.id, source=source, subject=subject, time=now)
        headers = [*_copy_headers(record), *event]
        timestamp_ms = record.timestamp_ms if self.input_timestamps else None
        partition = self.results.choose(record.partition)
        return Outgoing(self.output_topic, record.key, value, headers, timestamp_ms, partition)

    def encode_tombstone(self, record: Record) -> Outgoing:
        """Encode the tombstone that deletes the results with the key of *record*, in their partition."""
        timestamp_ms = record.timestamp_ms if self.input_timestamps else None
        partition = self.results.choose(record.partition)
        return Outgoing(self.output_topic, record.key, None, _copy_headers(record), timestamp_ms, partition)

    def encode_dead_letter(self, record: Record, error: BadRecord, now: datetime) -> Outgoing:
        """Encode *record* as a dead letter: unchanged, plus headers that say why the worker refused it."""
        own, attempts_before = split_attempts(record.headers or ())
        why = DeadLetterHeaders(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            class_name=f"emotag.worker.{error.stage}",
            exception_class=type(error).__name__,
            exception_message=str(error),
            stage=error.stage,
            # The worker refuses a record at the first failure: halving a batch for the device is no second attempt.
            attempts=attempts_before + 1,
            consumer_group=self.group_id,
            failed_at=now,
            worker_version=self.worker_version,
        )
        headers: Headers = [*own, *why.to_headers()]
        partition = self.dead_letters.choose(record.partition)
        letter = Outgoing(self.dlq_topic, record.key, record.value, headers, record.timestamp_ms, partition)
        if len(record.value or b"") > MAX_LETTER_BYTES:
            return self.encode_stub(letter, record, f"the value has more than {MAX_LETTER_BYTES} bytes")
        return letter

    def encode_stub(self, dead_letter: Outgoing, record: Record, refusal: str) -> Outgoing:
        """Encode a dead letter that the brokers refuse without its record: the reason, and how to find the record.

        Args:
            refusal: the brokers' reason.
        """
        value = record.value or b""
        stub = StubHeaders(value_bytes=len(value), value_sha256=hashlib.sha256(value).hexdigest(), refusal=refusal)
        key = record.key
        if key is None or len(key) > MAX_STUB_KEY_BYTES:
            key = format_place(record).encode()
        headers: Headers = [*dead_letter.headers[-len(NAMES) :], *stub.to_headers()]
        return Outgoing(self.dlq_topic, key, None, headers, dead_letter.timestamp_ms, dead_letter.partition)


def _copy_headers(record: Record) -> list[tuple[str, bytes | None]]:
    """Return the producer's headers for a record on the output topic."""
    if not record.headers:
        return []
    own, _ = split_attempts(record.headers)
    return [(name, content) for name, content in own if name.lower() not in REPLACED]


def list_emotions(emotions: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Return the emotions as the contract's JSON objects."""
    return [{"label": label, "score": _round(score)} for label, score in emotions]


def list_reasons(reasons: "Iterable[ReasonSpan]") -> list[dict[str, Any]]:
    """Return the reasons of an emotion as the contract's JSON objects."""
    return [{"start": reason.start, "end": reason.end, "share": _round(reason.share)} for reason in reasons]


def round_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the score of each label with as many digits as a result has."""
    return {label: _round(score) for label, score in scores.items()}


def format_timestamp(timestamp_ms: int) -> str | None:
    """Format a record's timestamp as RFC 3339; return None if its year is not one that a date can have."""
    seconds, ms = divmod(timestamp_ms, 1000)
    second = _format_second(seconds)
    return second and f"{second}.{ms:03}Z"


@lru_cache(maxsize=1024)  # a text that repeats often has the same emotions each time; 1 KB for each
def _encode_emotions(
    emotions: tuple[tuple[str, float], ...], truncated: bool, cached: bool, scope: Scope, language: str | None
) -> bytes:
    return _encode_text_result(TextResult(emotions, None, truncated, cached, scope, language))


def _encode_text_result(answer: TextResult) -> bytes:
    """Return the fields of a result that depend on its text alone, as the inside of a JSON object.

    `to_json` of the whole object would take twice as long.
    """
    return b'"emotions":%b,%b,"scores":%b,"parts":%b,"truncated":%b,"cached":%b,%b' % (
        _encode_list(answer.emotions) if answer.reasons is None else _encode_explained(answer.emotions, answer.reasons),
        # Most texts have one label, whose groups do not depend on its score, unless that is 0.
        _encode_groups_of(answer.emotions[0][0])
        if len(answer.emotions) == 1 and answer.emotions[0][1] > 0
        else _encode_groups(answer.emotions),
        b"null" if answer.scores is None else to_json(round_scores(answer.scores)),
        b"null" if answer.parts is None else b"[%b]" % b",".join(map(_encode_part, answer.parts)),
        b"true" if answer.truncated else b"false",
        b"true" if answer.cached else b"false",
        _encode_scope(answer.scope, answer.language),
    )


def _encode_list(emotions: Iterable[tuple[str, float]]) -> bytes:
    return b"[%b]" % b",".join(
        [
            b'{"label":%b,"score":%b}' % (_encode_label(label), _encode_score(round(score * SCORE_UNITS)))
            for label, score in emotions
        ]
    )


def _encode_explained(emotions: Iterable[tuple[str, float]], reasons: "Iterable[Iterable[ReasonSpan]]") -> bytes:
    return b"[%b]" % b",".join(
        [
            b'{"label":%b,"score":%b,"reasons":[%b]}'
            % (
                _encode_label(label),
                _encode_score(round(score * SCORE_UNITS)),
                b",".join([_encode_reason(reason) for reason in found]),
            )
            for (label, score), found in zip(emotions, reasons, strict=True)
        ]
    )


def _encode_reason(reason: "ReasonSpan") -> bytes:
    share = _encode_score(round(reason.share * SCORE_UNITS))
    return b'{"start":%d,"end":%d,"share":%b}' % (reason.start, reason.end, share)


def _encode_part(part: ResultPart) -> bytes:
    return b'{"start":%d,"end":%d,"emotions":%b}' % (part.start, part.end, _encode_list(part.emotions))


@lru_cache(maxsize=SCORE_UNITS + 1)
def _encode_score(units: int) -> bytes:
    return repr(units / SCORE_UNITS).encode()


def _encode_groups(emotions: Iterable[tuple[str, float]]) -> bytes:
    scores = dict(emotions)
    return b'"sentiment":%b,"ekman":%b' % (to_json(derive_sentiment(scores)), to_json(derive_ekman(scores)))


@lru_cache(maxsize=1024)
def _encode_groups_of(label: str) -> bytes:
    return _encode_groups([(label, 1.0)])


@lru_cache(maxsize=1024)
def _encode_scope(scope: Scope, language: str | None) -> bytes:
    return b'"scope":%b,"language":%b' % (to_json(scope), to_json(language))


@lru_cache(maxsize=1024)
def _encode_label(label: str) -> bytes:
    return to_json(label)


@lru_cache(maxsize=1024)
def _encode_partition(topic: str, partition: int) -> bytes:
    return b'"topic":%b,"partition":%d' % (to_json(topic), partition)


def _round(score: float) -> float:
    return round(score, 4)


@lru_cache(maxsize=1024)  # most records of a batch were written within a few seconds
def _format_second(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    except (OverflowError, ValueError, OSError):
        return None
