"""A record's bytes to the text in it, or the reason why there is none."""

import json
from typing import Any

import msgspec
from pydantic_core import from_json

from .errors import (
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
from .record import Record
from .settings import InputSettings

MAX_ID_BYTES = 1024
"""An id stands twice in its result, in the value and in a header, and is there to be looked up by."""

TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class Decoded(msgspec.Struct, frozen=True):
    """The text of one record, and what its result repeats of it.

    Attributes:
        id: the producer's own, else the key, else topic-partition-offset; at most MAX_ID_BYTES.
        metadata_json: the metadata's own bytes, None where there is none.
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
    if record.headers is None:
        raise HeadersUnreadable
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
    if given and len(given.encode()) > MAX_ID_BYTES:
        raise IdTooLarge(len(given.encode()), MAX_ID_BYTES)
    metadata = _field(message, "metadata", dict)
    return Decoded(
        text,
        given or _own_id(record),
        None if metadata is None else _own_bytes(value, metadata, settings.max_metadata_bytes),
    )


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


def _own_bytes(value: bytes, metadata: dict[str, Any], limit_bytes: int) -> bytes:
    """The metadata as it stands in *value*: written anew, 0.10 would become 0.1 and a large number another one."""
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError:  # 1e999 is JSON, but no double
        raise WrongType("metadata", "numbers within the range of a double", "outside it") from None
    raw = bytes(msgspec.json.decode(value, type=dict[str, msgspec.Raw])["metadata"])
    if len(raw) > limit_bytes:
        raise MetadataTooLarge(len(raw), limit_bytes)
    return raw


def _own_id(record: Record) -> str:
    """The key, where it is one that can be read and looked up by."""
    key = record.key or b""
    try:
        return key.decode("utf-8") if 0 < len(key) <= MAX_ID_BYTES else _place(record)
    except UnicodeDecodeError:
        return _place(record)


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def _type(found: object) -> str:
    return "null" if found is None else TYPES.get(type(found), type(found).__name__)
