"""TextMessage: what a producer puts on the input topic."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty or blank")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair, which no record can") from None
    return text


class TextMessage(BaseModel):
    """A text to be tagged.

    Attributes:
        text: at least one character that is not white space.
        id: named in the result; without one the record's key, else topic-partition-offset.
        metadata: repeated in the result as it came.
    """

    # Unknown fields are ignored, and nothing is taken for what it is not: an id of 5 is no string.
    # JSON has no NaN; it would be written as null, and come back as something else than what was sent.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    text: Annotated[str, AfterValidator(_not_blank), Field(json_schema_extra={"pattern": r"\S"})]
    id: str | None = None
    metadata: dict[str, JsonValue] | None = None

    def to_json(self) -> bytes:
        """The record's value."""
        return self.model_dump_json(exclude_none=True).encode()
