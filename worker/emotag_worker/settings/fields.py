"""Types of values for the sections of settings, with the words that describe them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from .times import TIME_WORDS, parse_time

PREFIX = "EMOTAG_"
"""The environment variable of `section.field` is `EMOTAG_SECTION__FIELD`."""

ADDRESS = r"\s*(?:[A-Z_]+://)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?\s*"
"""One address as librdkafka parses it: a host name or an IP address (IPv6 in brackets), and optionally a port."""


@dataclass(frozen=True)
class Allowed:
    """Words for the values that a setting allows, where its type does not say enough."""

    text: str


def _join_brokers(value: Any) -> Any:
    is_list = isinstance(value, list) and all(isinstance(address, str) for address in value)
    return ",".join(value) if is_list else value


Brokers = Annotated[
    str,
    Allowed("host:port, or several with commas between them (in a TOML file also a list)"),
    BeforeValidator(_join_brokers),
    Field(pattern=rf"^{ADDRESS}(,{ADDRESS})*\Z"),
]

Topic = Annotated[
    str,
    Allowed("a name of up to 249 letters, digits, dots, hyphens and underscores"),
    Field(pattern=r"^(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}\Z"),
]
"""A name that Kafka accepts for a topic."""

DottedPath = Annotated[
    str,
    Allowed("names with dots between them, without $, / and [], for example payload.body"),
    Field(pattern=r"^(?!\$(?:\.|\Z)|/)[^.\[\]]+(?:\.[^.\[\]]+)*\Z"),
]
"""Names of nested fields. JSONPath (`$.a`, `a[0]`) and JSON Pointer (`/a/b`) are refused: read as names, they would
match no field, and every record would become a dead letter."""

OptionalPath = Annotated[
    str,
    Allowed("names with dots between them, as for input.text_path; empty for none"),
    Field(pattern=r"^(?!\$(?:\.|\Z)|/)(?:[^.\[\]]+(?:\.[^.\[\]]+)*)?\Z"),
]
"""Names of nested fields, or an empty string for no field."""


MOST_PROCESSES = 256


def _read_processes(value: Any) -> Any:
    text = str(value).lower()  # a number in a TOML file, True included
    if text == "auto":
        return text
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise ValueError("neither auto nor a number in the range")
    return int(text)


Processes = Annotated[
    int | Literal["auto"],
    Allowed(f"auto, or a whole number from 1 to {MOST_PROCESSES}"),
    BeforeValidator(_read_processes),
]

START_WORDS = ("earliest", "latest", "committed")


def _check_start(value: Any) -> Any:
    text = value.isoformat() if isinstance(value, datetime) else value  # TOML has times as values
    if not isinstance(text, str) or text.lower() in START_WORDS:
        return text.lower() if isinstance(text, str) else text
    parse_time(text)
    return text


StartPosition = Annotated[str, Allowed(f"{', '.join(START_WORDS)}, or {TIME_WORDS}"), BeforeValidator(_check_start)]
"""A word, or a time with its zone. Without a zone, two machines would begin at different records."""


class SettingsSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, regex_engine="python-re")

    @field_validator("*", mode="before")
    @classmethod
    def _check_value(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept the values of closed sets in any case: `INFO` is `info`. Reject true for a number."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation in (int, float):
            raise ValueError("a number cannot be true or false")
        return value.lower() if isinstance(value, str) and get_origin(annotation) is Literal else value
