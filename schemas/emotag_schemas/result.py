"""EmotionResult: a record of the output topic."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from .labels import LABELS, Ekman, Sentiment

CE_SPECVERSION = "1.0"
CE_TYPE = "emotag.text.tagged.v1"
"""The type of the event; its number increases if consumers of the old type cannot read the new one."""
CONTENT_TYPE = "application/json"

CE_HEADERS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "ce_specversion": CE_SPECVERSION,
        "ce_id": None,
        "ce_source": None,
        "ce_subject": None,
        "ce_type": CE_TYPE,
        "ce_time": None,
        "content-type": CONTENT_TYPE,
    }
)
"""The CloudEvents headers of a result in their order, with their values; None if the value differs in each result."""

_SPECVERSION, _TYPE, _CONTENT_TYPE = ((name, value.encode()) for name, value in CE_HEADERS.items() if value is not None)


@lru_cache(maxsize=16)  # all results of a batch have the same time
def format_rfc3339(time: datetime) -> str:
    """Format a time in UTC as `2026-11-23T07:00:00.123Z`; digits after the milliseconds are cut off."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Without this, the schema would describe a time as any string. The pattern is needed because validators may ignore a
# format.
_TIME_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
    "examples": ["2026-11-24T14:37:42.721Z"],
}
Time = Annotated[
    AwareDatetime, PlainSerializer(format_rfc3339, when_used="json"), WithJsonSchema(_TIME_SCHEMA, mode="serialization")
]
Score = Annotated[float, Field(ge=0, le=1)]
Scope = Literal["ok", "other_language", "unreadable", "too_short"]


class _Wire(BaseModel):
    # Later versions may add fields; a consumer with this version ignores them.
    # The worker always writes every field, so the schema requires all; when reading, those with a default are optional.
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Reason(_Wire):
    """A part of a text that carries the score of a label."""

    start: Annotated[int, Field(ge=0)] = Field(
        description="The first character: its place in the text as it was sent, in Unicode code points from 0.",
        examples=[0],
    )
    end: Annotated[int, Field(ge=0)] = Field(description="The place after the last character.", examples=[23])
    share: Score = Field(
        description="Its part of the sum of all positive contributions to the score of the label.", examples=[0.7891]
    )


class Emotion(_Wire):
    """A label that a text has."""

    # The worker writes every field except the reasons, which only some workers write.
    model_config = ConfigDict(json_schema_extra=lambda schema: _allow_absent(schema, "reasons"))

    # Not an enum: a model with other labels writes the same messages.
    label: str = Field(
        description="One of the model's labels. The shipped model, emotag-mini, has the 28 labels of GoEmotions.",
        examples=list(LABELS),
    )
    score: Score = Field(description="The calibrated probability that the text has the label.", examples=[0.9766])
    reasons: tuple[Reason, ...] | None = Field(
        default=None,
        description="Up to three spans of the text that carry the score, the largest share first. An empty list means "
        "that nothing in the text speaks for the label. Absent in `parts`, and if the worker runs without "
        "EMOTAG_OUTPUT__REASONS.",
    )


def _allow_absent(schema: dict[str, Any], field: str) -> None:
    schema["required"] = [each for each in schema.get("required", []) if each != field]


class Part(_Wire):
    """A part of a long text, and the labels that it has."""

    start: Annotated[int, Field(ge=0)] = Field(
        description="The first character of the part: its place in the text as it was sent, in Unicode code points "
        "from 0.",
        examples=[498],
    )
    end: Annotated[int, Field(ge=0)] = Field(description="The place after the last character.", examples=[960])
    emotions: tuple[Emotion, ...] = Field(
        description="The labels whose score in this part reaches their own threshold, best first; can be empty."
    )


class ModelVersion(_Wire):
    """The model that tagged the text."""

    name: str = Field(description="The name of the model.", examples=["emotag-mini"])
    version: str = Field(
        description="A hash of weights, tokenizer and configuration, `sha256:…`; changes with each new model."
    )
    thresholds: str = Field(
        description="The hash of the thresholds, `sha256:…`; changes if they are tuned again for the same weights."
    )
    precision: str | None = Field(
        default=None,
        description="The format of the model's numbers: int8, bf16, fp16 or fp32. Another one changes scores slightly.",
        examples=["int8"],
    )


class SourceRecord(_Wire):
    """The position of the text in the input topic: identifies the text."""

    topic: str = Field(description="The topic that the text was read from.", examples=["texts"])
    partition: Annotated[int, Field(ge=0)] = Field(description="The partition of the text.", examples=[3])
    offset: Annotated[int, Field(ge=0)] = Field(description="The offset of the text.", examples=[1234])
    timestamp: Time | None = Field(default=None, description="The timestamp of the text's record; null if it has none.")


class EmotionResult(_Wire):
    """The emotions of one text."""

    id: str = Field(
        description="The id of the message, a number as a string; without one, topic-partition-offset.",
        examples=["42", "texts-3-1234"],
    )
    emotions: tuple[Emotion, ...] = Field(
        description="The labels whose score reaches their own threshold, best first; can be empty."
    )
    sentiment: Sentiment = Field(
        description="The group of labels with the largest sum of scores in `emotions`; neutral if `emotions` is empty."
    )
    ekman: tuple[Ekman, ...] = Field(
        description="Ekman's basic emotions of `emotions`, largest sum of scores first. Empty for neutral alone."
    )
    scores: dict[str, Score] | None = Field(
        default=None,
        description="The score of every label; null unless the worker runs with EMOTAG_OUTPUT__ALL_SCORES=true.",
    )
    parts: tuple[Part, ...] | None = Field(
        default=None,
        description="The parts of a text that is longer than the model's window, in order. Two parts may overlap. "
        "Null for every other text, and with EMOTAG_INPUT__LONG_TEXTS=first.",
    )
    truncated: bool = Field(
        description="True if only the beginning of the text was tagged: the text has more than 64 parts or 16,384 "
        "characters. With EMOTAG_INPUT__LONG_TEXTS=first: more than 128 tokens."
    )
    cached: bool = Field(description="True if the emotions come from the cache. They are the same as computed ones.")
    scope: Scope = Field(
        default="ok",
        description="ok, or the reason why you must not trust the emotions. other_language: the model was not trained "
        "on the text's language. unreadable: most of the text's words are unknown to the model, for example ♪♫♪. "
        "too_short: the text has no words, and is not made of emoji or emoticons alone.",
    )
    language: str | None = Field(
        default=None,
        description="The code of the text's language, such as en; null if it is not certain.",
        examples=["en"],
    )
    model: ModelVersion = Field(description="The model that tagged the text.")
    source: SourceRecord = Field(description="The position of the text in the input topic: identifies the text.")
    tagged_at: Time = Field(description="The time when the worker built the result.")
    metadata: JsonValue = Field(
        default=None,
        description="The metadata of the message, unchanged; null without any.",
        examples=[{"ticket": 17}, "web"],
    )

    @classmethod
    def from_json(cls, value: bytes | str) -> Self:
        """Parse the value of a record.

        Raises:
            pydantic.ValidationError: the value is not a result.
        """
        return cls.model_validate_json(value)

    def to_json(self) -> bytes:
        """Return the value of the record."""
        absent = {"__all__": {"reasons"}}
        exclude: dict[str, Any] = {"parts": {"__all__": {"emotions": absent}}}
        if all(emotion.reasons is None for emotion in self.emotions):
            exclude["emotions"] = absent
        return self.model_dump_json(exclude=exclude).encode()


def build_cloudevents_headers(event_id: str, *, source: str, subject: str, time: datetime) -> list[tuple[str, bytes]]:
    """Return the headers of a CloudEvent in binary mode (CloudEvents 1.0, Kafka protocol binding).

    Args:
        event_id: the id of the result. It is unique in *source* if the producers' ids are unique in their topic.
        source: a URI reference, which all results of a group for one topic share.
        subject: the place of the text in its topic; always unique in *source*.
        time: the time when the text was tagged.
    """
    # In the order of CE_HEADERS.
    return [
        _SPECVERSION,
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_subject", subject.encode()),
        _TYPE,
        ("ce_time", format_rfc3339(time).encode()),
        _CONTENT_TYPE,
    ]
