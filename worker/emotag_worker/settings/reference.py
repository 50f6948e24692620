"""Describe every setting in words, and show values without secrets."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .fields import PREFIX, Allowed
from .sections import Settings

SECRET = ("sasl.", "pass", "secret", "token", "private", "key.pem")
"""Parts of the names of Kafka properties whose values are masked. Broad on purpose: mistyped names match too."""

PUBLIC = ("sasl.mechanism", "sasl.mechanisms")
"""Properties that match `SECRET` but are shown."""

MASK = "**********"
"""The mask that pydantic uses for a secret."""

PROPERTIES = "kafka.properties"
"""The only setting that has other settings as its value: librdkafka's."""

LONGEST_SHOWN = 60
"""Characters of a value in an error message."""


@dataclass(frozen=True)
class Setting:
    """A setting, in the words of its reference.

    Attributes:
        name: `section.field`, the name in `--set` and in a TOML file.
        variable: the environment variable.
        default: the default value; None means that the setting is not set.
        allowed: the values that the setting allows, in words.
        meaning: the meaning of the setting, in one or more sentences.
        example: a value that can be used.
        secret: True if the value is never shown.
    """

    name: str
    variable: str
    default: Any
    allowed: str
    meaning: str
    example: Any
    secret: bool


@cache
def list_settings() -> dict[str, Setting]:
    """Return {environment variable: setting} of every setting, in the order of the sections."""
    settings = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            inner = type(field.default).model_fields.items()
            settings += [_describe(f"{name}.{inner_name}", inner_field) for inner_name, inner_field in inner]
        else:
            settings.append(_describe(name, field))
    return {setting.variable: setting for setting in settings}


def join_words(words: Sequence[str]) -> str:
    """Return the words as an enumeration: `a, b or c`."""
    return " or ".join((", ".join(words[:-1]), words[-1]) if words[1:] else words)


def mask_secrets(settings: Settings) -> dict[str, Any]:
    """Return the settings as JSON values with every secret masked: safe to print and to log."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    properties = values["kafka"]["properties"]
    for name, value in properties.items():
        is_secret = any(word in name.lower() for word in SECRET) and name not in PUBLIC
        # A PEM text can have the certificate and its key.
        if is_secret or "PRIVATE KEY" in str(value):
            properties[name] = MASK
    return values


def show_name(name: str) -> str:
    """Return the name of an unknown setting for an error message.

    A mistake in punctuation can make a value a part of the name, as in `cache.url:redis://:password@host`. So a name
    ends at the first character that no name has.
    """
    shown = re.split(r"[^\w.-]", name)[0]
    return shown if shown == name else f"{shown}…"


def show_wrong_value(setting: Setting, value: Any) -> str:
    """Return a refused value for an error message, without anything that may be a secret."""
    # https://user:password@host, https://host/?token=…
    if setting.secret or "@" in str(value) or ("://" in str(value) and re.search("[?#]", str(value))):
        return "this value"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list of these values"
    shown = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 1]}…"


def show_value(value: Any) -> str:
    """Return a value or a default for people, as it would be written in a variable."""
    match value:
        case None:
            return "none"
        case str():
            return value
        case float():
            return f"{value:g}"
    return json.dumps(value, default=str)


def _describe(name: str, field: FieldInfo) -> Setting:
    examples = field.examples or [field.default]
    return Setting(
        name=name,
        variable=f"{PREFIX}{name.replace('.', '__')}".upper(),
        default=field.default,
        allowed=_describe_allowed(field),
        meaning=field.description or "",
        example=examples[0],
        secret=SecretStr in get_args(field.annotation) or name == PROPERTIES,
    )


def _describe_allowed(field: FieldInfo) -> str:
    for each in field.metadata:
        if isinstance(each, Allowed):
            return each.text
    if get_origin(field.annotation) is Literal:
        return join_words(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    kind = "a whole number" if field.annotation is int else "a number"
    return f"{kind} {_describe_bounds(field.metadata)}"


def _describe_bounds(metadata: Sequence[Any]) -> str:
    """Return the bounds that pydantic stores in a field's metadata, in words."""
    bounds = {name: getattr(each, name) for each in metadata for name in ("gt", "ge", "le") if hasattr(each, name)}
    match bounds:
        case {"gt": lower, "le": upper}:
            return f"above {lower}, at most {upper}"
        case {"ge": lower, "le": upper}:
            return f"from {lower} to {upper}"
        case {"gt": lower}:
            return f"above {lower}"
        case {"ge": lower}:
            return f"of at least {lower}"
        case _:
            raise AssertionError(f"a number needs a lower bound that has words: {bounds}")
