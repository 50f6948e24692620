"""Decode a record: from its bytes to the text in it, or to the reason why it has none."""

import codecs
import json
from typing import Any

import msgspec
from pydantic_core import from_json

from emotag_worker.errors import (
    HeadersTooLarge,
    HeadersUnreadable,
    IdTooLarge,
    MetadataTooLarge,
    NoText,
    NotJson,
    NotUtf8,
    Tombstone,
    TooDeep,
    ValueTooLarge,
    WrongType,
)
from emotag_worker.settings import InputSettings

from .record import Record, format_place, size_of_headers

MAX_ID_BYTES = 1024
"""The limit of an id. Consumers look results up by id, and each result contains its id twice: in value and header."""

TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class Decoded(msgspec.Struct, frozen=True):
    """The text of one record, and the fields that its result repeats.

    Attributes:
        id: the message's own id, a number as it was written, at most MAX_ID_BYTES; else topic-partition-offset.
        metadata_json: the bytes of the metadata as the producer wrote them; None without metadata.
    """

    text: str
    id: str
    metadata_json: bytes | None = None


def decode(record: Record, settings: InputSettings) -> Decoded:
    """Return the text in *record*.

    Raises:
        BadRecord: the record contains no text that can be tagged; the subclass names the reason.
    """
    value = record.value
    if value is None:
        raise Tombstone
    if record.headers is None:
        raise HeadersUnreadable
    if len(value) > settings.max_value_bytes:
        raise ValueTooLarge(len(value), settings.max_value_bytes)
    if record.headers and (size_bytes := size_of_headers(record.headers)) > settings.max_headers_bytes:
        raise HeadersTooLarge(size_bytes, settings.max_headers_bytes)
    if settings.format == "text":
        text = _decode_utf8(value)
        if not text.strip():
            raise NoText("the value", "blank" if text else "empty")
        return Decoded(text, format_place(record))
    message = _parse_object(value)
    return Decoded(
        _get_text(message, settings.text_path),
        _get_id(value, message, settings.id_path) or format_place(record),
        _get_metadata(value, message, settings.metadata_path, settings.max_metadata_bytes),
    )


def _parse_object(value: bytes) -> dict[str, Any]:
    try:
        message = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        _decode_utf8(value)  # raises the clearer reason if invalid UTF-8 is the cause
        if value.startswith(codecs.BOM_UTF8):
            raise NotJson("it begins with a byte order mark") from None
        if "recursion" in str(error):
            raise TooDeep from None
        raise NotJson(str(error)) from None
    if not isinstance(message, dict):
        raise NotJson(f"it is {_name_type(message)}")
    return message


def _decode_utf8(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8(error.start) from None


def _get_text(message: dict[str, Any], path: str) -> str:
    found: Any = message
    for name in path.split("."):
        if not isinstance(found, dict) or found.get(name) is None:
            raise NoText(path, "missing")
        found = found[name]
    if not isinstance(found, str):
        raise WrongType(path, "a string", _name_type(found))
    if not found.strip():
        raise NoText(path, "blank" if found else "empty")
    return found


def _get_id(value: bytes, message: dict[str, Any], path: str) -> str:
    """Return the id at a path, empty without one; a number as it is written in *value*, 1.50 and not 1.5."""
    found = _get_optional(message, path)
    if found is None:
        return ""
    if isinstance(found, str):
        given = found
    elif isinstance(found, int | float) and not isinstance(found, bool):
        given = _cut_out(value, path).decode()
    else:
        raise WrongType(path, "a string or a number", _name_type(found))
    if (size_bytes := len(given.encode())) > MAX_ID_BYTES:
        raise IdTooLarge(path, size_bytes, MAX_ID_BYTES)
    return given


def _get_metadata(value: bytes, message: dict[str, Any], path: str, limit_bytes: int) -> bytes | None:
    """Return the bytes of the metadata in *value*. To serialize it again would turn 0.10 into 0.1."""
    found = _get_optional(message, path)
    if found is None:
        return None
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:  # 1e999 is valid JSON, but no double
        raise WrongType(path, "numbers within the range of a double", "outside it") from None
    raw = _cut_out(value, path)
    if len(raw) > limit_bytes:
        raise MetadataTooLarge(path, len(raw), limit_bytes)
    return raw


def _get_optional(message: dict[str, Any], path: str) -> Any:
    """Return the value at a path; None if it is absent or null, or the path is empty."""
    if "." not in path:  # nearly always
        return message.get(path) if path else None
    found: Any = message
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _cut_out(value: bytes, path: str) -> bytes:
    """Return the bytes of the JSON value at a path that exists."""
    raw = msgspec.Raw(value)
    for name in path.split("."):
        raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[name]
    return bytes(raw)


def _name_type(found: object) -> str:
    return "null" if found is None else TYPES.get(type(found), type(found).__name__)
