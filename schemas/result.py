"""EmotionResult: what a record of the output topic says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from .labels import Ekman, Sentiment

CE_SPECVERSION = "1.0"
CE_TYPE = "emotag.text.tagged.v1"
"""The kind of event; the number grows when a consumer of the old one could no longer read it."""
CONTENT_TYPE = "application/json"

CE_HEADERS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "ce_specversion": CE_SPECVERSION,
        "ce_id": None,
        "ce_source": None,
        "ce_type": CE_TYPE,
        "ce_time": None,
        "content-type": CONTENT_TYPE,
    }
)
"""A result's CloudEvents headers in the order they are written, and what each says; None: each event's own."""

_CE_BYTES = tuple((name, None if value is None else value.encode()) for name, value in CE_HEADERS.items())


@lru_cache(maxsize=16)  # all results of a batch have one
def rfc3339(time: datetime) -> str:
    """A time as `2026-11-23T07:00:00.123Z`, in UTC, milliseconds cut."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Spelt out for the schema, which would otherwise say no more than that a time is written as a string. The pattern is
# there because validators need not check a format.
_TIME_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
}
Time = Annotated[
    AwareDatetime, PlainSerializer(rfc3339, when_used="json"), WithJsonSchema(_TIME_SCHEMA, mode="serialization")
]
Score = Annotated[float, Field(ge=0, le=1)]


class _Wire(BaseModel):
    # Fields may be added in later versions; a consumer built against this one keeps working.
    # Every field is always written, so the schema promises it; read back, those with a default may be missing.
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Emotion(_Wire):
    """One label and its calibrated probability."""

    label: str
    score: Score


class ModelVersion(_Wire):
    """What decided: the model's name, the hash of what gives probabilities, the hash of what gives labels."""

    name: str
    version: str
    thresholds: str


class Source(_Wire):
    """Where the text was read."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    timestamp: Time | None = None


class EmotionResult(_Wire):
    """The emotions of one text.

    Attributes:
        id: the producer's own, else the record's key, else topic-partition-offset.
        emotions: the labels over their own threshold, best first; can be empty.
        sentiment: the group of labels with the largest summed score; neutral where there is none.
        ekman: Ekman's basic emotions among them, strongest first.
        scores: the probability of every label, where the operator asks for it.
        truncated: the text was longer than the model's window, and judged by its beginning.
        cached: the answer came from the cache.
        tagged_at: when the worker wrote it; the record's own timestamp is the input's.
        metadata: the producer's own, as it came.
    """

    id: str
    emotions: tuple[Emotion, ...]
    sentiment: Sentiment
    ekman: tuple[Ekman, ...]
    scores: dict[str, Score] | None = None
    truncated: bool
    cached: bool
    model: ModelVersion
    source: Source
    tagged_at: Time
    metadata: dict[str, JsonValue] | None = None

    @classmethod
    def from_json(cls, value: bytes | str) -> Self:
        """Read a record's value.

        Raises:
            pydantic.ValidationError: it is not a result.
        """
        return cls.model_validate_json(value)

    def to_json(self) -> bytes:
        """The record's value."""
        return self.model_dump_json().encode()


def cloudevents_headers(event_id: str, *, source: str, time: datetime) -> list[tuple[str, bytes]]:
    """The record's headers as a CloudEvent in binary mode (CloudEvents 1.0, Kafka protocol binding).

    Args:
        event_id: unique together with *source*.
        source: a URI reference.
        time: when the text was tagged.
    """
    own = {"ce_id": event_id.encode(), "ce_source": source.encode(), "ce_time": rfc3339(time).encode()}
    return [(name, own[name] if value is None else value) for name, value in _CE_BYTES]
