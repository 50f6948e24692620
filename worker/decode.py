"""A record's bytes to the text in it, or the reason why there is none."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from .errors import MetadataTooLarge, NoText, NotJson, NotUtf8, Tombstone, TooDeep, ValueTooLarge, WrongType
from .record import Record
from .settings import InputSettings

TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of one record, and what its result repeats of it.

    Attributes:
        id: the producer's own, else the key, else topic-partition-offset.
        metadata_json: the metadata as JSON, None where there is none.
    """

    text: str
    id: str
    metadata_json: bytes | None = None


def decode(record: Record, settings: InputSettings) -> Decoded:
    """The text in *record*.

    Raises:
        BadRecord: there is none that can be tagged; the subclass says why.
    """
    value = record.value
    if value is None:
        raise Tombstone
    if len(value) > settings.max_value_bytes:
        raise ValueTooLarge(len(value), settings.max_value_bytes)
    if settings.format == "text":
        text = _utf8(value)
        if not text.strip():
            raise NoText("the value", "blank" if text else "empty")
        return Decoded(text, _own_id(record))
    message = _object(value)
    text = _text(message, settings.text_path)
    given = _field(message, "id", str)
    return Decoded(text, given or _own_id(record), _metadata(message, settings.max_metadata_bytes))


def _object(value: bytes) -> dict[str, Any]:
    try:
        message = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        _utf8(value)  # the clearer reason, where it is the reason
        if "recursion" in str(error):
            raise TooDeep from None
        raise NotJson(str(error)) from None
    if not isinstance(message, dict):
        raise NotJson(f"it is {_type(message)}")
    return message


def _utf8(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8(error.start) from None


def _text(message: dict[str, Any], path: str) -> str:
    found: Any = message
    for name in path.split("."):
        if not isinstance(found, dict) or found.get(name) is None:
            raise NoText(path, "missing")
        found = found[name]
    if not isinstance(found, str):
        raise WrongType(path, "a string", _type(found))
    if not found.strip():
        raise NoText(path, "blank" if found else "empty")
    return found


def _field(message: dict[str, Any], name: str, kind: type[Any]) -> Any:
    """An optional field; null counts as absent."""
    found = message.get(name)
    if found is not None and type(found) is not kind:
        raise WrongType(name, TYPES[kind], _type(found))
    return found


def _metadata(message: dict[str, Any], limit_bytes: int) -> bytes | None:
    metadata = _field(message, "metadata", dict)
    if metadata is None:
        return None
    try:
        encoded = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:  # 1e999 is JSON, but no double
        raise WrongType("metadata", "numbers within the range of a double", "outside it") from None
    if len(encoded) > limit_bytes:
        raise MetadataTooLarge(len(encoded), limit_bytes)
    return encoded


def _own_id(record: Record) -> str:
    try:
        return (record.key or b"").decode("utf-8") or _place(record)
    except UnicodeDecodeError:
        return _place(record)


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def _type(found: object) -> str:
    return "null" if found is None else TYPES.get(type(found), type(found).__name__)
