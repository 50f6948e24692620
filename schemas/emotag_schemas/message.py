"""TextMessage: a record of the input topic."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


def _require_text(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty or blank")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text contains half of a surrogate pair, which UTF-8 cannot encode") from None
    return text


class TextMessage(BaseModel):
    """A text to tag. Other fields are ignored."""

    # Ignore unknown fields, and convert nothing: the number 5 is not a valid text.
    # JSON has no NaN: it would become null, and the result would contain other metadata than the producer sent.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    text: Annotated[str, AfterValidator(_require_text)] = Field(
        description="The text; contains at least one character that is not white space.",
        examples=["What a wonderful day, thank you!"],
        json_schema_extra={"pattern": r"\S"},
    )
    id: str | int | float | None = Field(
        default=None,
        description="The result has this id, a number as a string; at most 1,024 bytes in UTF-8. Without one, the "
        "result's id is topic-partition-offset.",
        examples=["42", 42],
    )
    metadata: JsonValue = Field(
        default=None,
        description="Copied to the result unchanged; at most 64 KiB by default.",
        examples=[{"ticket": 17}, "web"],
    )

    def to_json(self) -> bytes:
        """Return the value of the record."""
        return self.model_dump_json(exclude_none=True).encode()
