"""Read the settings.

Priority, highest first: `--set` flags, environment variables (`EMOTAG_…`, nested with `__`) and the files that
`EMOTAG_…_FILE` variables name, a TOML file.
"""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from emotag_model.files import read_toml
from emotag_worker.errors import SettingsError

from .fields import PREFIX
from .mounted import SUFFIX, find_named, read_named
from .reference import PROPERTIES, Setting, list_settings, show_name, show_value, show_wrong_value
from .sections import Settings

PROPERTY_PREFIX = f"{PREFIX}KAFKA__PROPERTIES__"
"""The variable of the property `a.b` is this prefix and `a.b`."""

ADDED_BY_KUBERNETES = re.compile(r"EMOTAG_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
"""Kubernetes puts these variables into every pod of a namespace that has a Service called emotag or emotag-…."""

ADDED_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""The value of `EMOTAG_PORT`, which Kubernetes adds too. A mistyped `EMOTAG_ADMIN_PORT` has a number."""

FLAG_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""A name in `--set NAME=VALUE`. With another character, the `=` belongs to a value, which may be a secret."""

SourceKind: TypeAlias = Literal["--set", "variable", "_FILE", "file"]

NEAR = 0.75
"""A name is suggested for a mistyped one if `difflib` computes at least this similarity."""


@dataclass(frozen=True)
class SettingsSource:
    """The values that one source gives.

    Attributes:
        place: the source in an error message, for example the name of the file.
        values: nested as the settings are.
    """

    kind: SourceKind
    place: str
    values: Mapping[str, Any]

    def find(self, path: Sequence[str]) -> Any:
        """Return the value of (section, field); None if this source does not give it."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from *flags*, the environment and *file*.

    Args:
        file: a TOML file whose tables are named as the sections are.
        flags: nested as the settings are, `{"kafka": {"group_id": "g"}}`.

    Raises:
        SettingsError: a setting is unknown or has a value that is not allowed, or the file cannot be read.
    """
    return validate(read_sources(file, flags))


def read_sources(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Sequence[SettingsSource]:
    """Return the values of each source, the one with the highest priority first.

    Raises:
        SettingsError: a file cannot be read, or a variable that takes JSON has another form.
    """
    named = read_named(os.environ, is_setting=_is_setting)
    place = f"the file of a variable that ends with {SUFFIX}"
    return (
        SettingsSource("--set", "--set", flags or {}),
        SettingsSource("variable", "the environment", _read_variables(os.environ)),
        SettingsSource("_FILE", place, _read_variables(named, place=place)),
        SettingsSource("file", str(file), read_toml(file, error=SettingsError) if file else {}),
    )


def validate(sources: Sequence[SettingsSource]) -> Settings:
    """Return the settings that the sources give together.

    Raises:
        SettingsError: a setting is unknown or has a value that is not allowed.
    """
    values: dict[str, Any] = {}
    for source in reversed(sources):
        values = _merge(values, source.values)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # pydantic reports a property of the wrong type once for each of the four types; the user needs one line.
        problems = dict.fromkeys(_explain(problem, sources) for problem in error.errors(include_input=False))
        raise SettingsError("; ".join(problems)) from None


def find_source(sources: Sequence[SettingsSource], name: str) -> str:
    """Return the kind of source of a setting's value, or `default`; for properties, all kinds, because they add up."""
    kinds = [source.kind for source in sources if source.find(name.split(".")) is not None]
    if not kinds:
        return "default"
    return ", ".join(kinds) if name == PROPERTIES else kinds[0]


def parse_flags(flags: Sequence[str]) -> dict[str, Any]:
    """Return `section.field=value` flags as nested settings; `kafka.properties.a.b=value` sets the property `a.b`.

    Raises:
        SettingsError: a flag has another form, or sets a field of a section that another flag set as one value.
    """
    nested: dict[str, Any] = {}
    for flag in flags:
        name, separator, value = flag.partition("=")
        if not separator or not FLAG_NAME.fullmatch(name):
            # The message does not contain the flag, which may contain a secret.
            near = _find_near(re.split(r"[^\w.]", flag)[0])
            example = f"{near.name}=VALUE" if near else "kafka.group_id=mine"
            raise SettingsError(f"--set takes NAME=VALUE; write, for example, --set {example}")
        section, _, field = name.partition(".")
        if name.startswith(f"{PROPERTIES}."):
            properties = _open_table(_open_table(nested, "kafka", within=name), "properties", within=name)
            properties[name.removeprefix(f"{PROPERTIES}.")] = value
        elif field:
            _open_table(nested, section, within=name)[field] = (
                _parse_properties(value, place="--set") if name == PROPERTIES else value
            )
        else:
            nested[section] = value
    return nested


def find_unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each `EMOTAG_…` variable that is no setting, with the nearest real name.

    Variables that Kubernetes adds to pods are ignored.
    """
    return [_explain_variable(variable) for variable in sorted(environment) if _is_unknown(variable, environment)]


def _is_unknown(variable: str, environment: Mapping[str, str]) -> bool:
    """Return True if the variable begins as emotag's do and is neither a setting nor added by Kubernetes."""
    name = variable.upper()
    if not name.startswith(PREFIX) or _is_setting(name) or _is_setting(find_named(name) or ""):
        return False
    return not (ADDED_BY_KUBERNETES.fullmatch(name) or ADDED_ADDRESS.match(environment[variable]))


def _is_setting(variable: str) -> bool:
    return variable.upper() in list_settings() or variable.upper().startswith(PROPERTY_PREFIX)


def _explain_variable(variable: str) -> str:
    near = _find_near(variable.upper().removeprefix(PREFIX).lower().replace("__", "."))
    remedy = f"did you mean {near.variable}?" if near else "list the settings with: emotag config list"
    return f"{show_name(variable)} is not a setting; {remedy}"


def _read_variables(environment: Mapping[str, str], *, place: str = "the environment") -> dict[str, Any]:
    """Return the settings in the environment, nested. The case of names does not matter.

    Raises:
        SettingsError: a variable names a section and no setting in it. Ignored, the default would apply silently: for
            example, no hash secret.
    """
    nested: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    mistyped = []
    for variable, value in environment.items():
        if _is_setting(find_named(variable) or ""):
            continue  # the name of a file
        if variable.upper().startswith(PROPERTY_PREFIX):
            properties[variable[len(PROPERTY_PREFIX) :].lower()] = value
        elif setting := list_settings().get(variable.upper()):
            section, _, field = setting.name.rpartition(".")
            table = nested.setdefault(section, {}) if section else nested
            table[field] = _parse_properties(value, place=place) if setting.name == PROPERTIES else value
        elif _names_section(variable) and _is_unknown(variable, environment):
            mistyped.append(_explain_variable(variable))
    if mistyped:
        raise SettingsError("; ".join(sorted(mistyped)))
    return _merge(nested, {"kafka": {"properties": properties}} if properties else {})


def _names_section(variable: str) -> bool:
    """Return True if the variable is `EMOTAG_SECTION__…` for a section that exists, or for a setting without one."""
    section, separator, _ = variable.upper().removeprefix(PREFIX).partition("__")
    return bool(separator) and variable.upper().startswith(PREFIX) and section.lower() in Settings.model_fields


def _parse_properties(value: str, *, place: str) -> Any:
    """Return the JSON object of `kafka.properties`."""
    try:
        properties = json.loads(value)
    except json.JSONDecodeError as error:
        properties = error
    if not isinstance(properties, dict):
        cause = f" ({properties.msg})" if isinstance(properties, json.JSONDecodeError) else ""
        raise SettingsError(
            f"{PROPERTIES} (EMOTAG_KAFKA__PROPERTIES, from {place}) is not a JSON object{cause}: write, for example, "
            '{"security.protocol": "SASL_SSL"}'
        )
    return properties


def _open_table(nested: dict[str, Any], key: str, *, within: str) -> dict[str, Any]:
    table = nested.setdefault(key, {})
    if not isinstance(table, dict):
        raise SettingsError(f"--set {within}: another --set gives {key} one value; keep one of the two")
    return table


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, merged at every level. If both have a value, the one of *above* counts."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(inner, value) if both and inner is not None else value
    return merged


def _explain(problem: Any, sources: Sequence[SettingsSource]) -> str:
    """Return one line for a problem that pydantic reports: the setting, its source, its value and a remedy."""
    path = [str(part) for part in problem["loc"]]
    if not path:
        return str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return "; ".join(_explain_unknown(name, place) for name, place in _find_all(path, sources))
    name = ".".join(path[:2])
    setting = next((each for each in list_settings().values() if each.name == name), None)
    source = next((source for source in sources if source.find(path[:2]) is not None), sources[0])
    if setting is None:  # the name of a section
        return f"{name} (from {source.place}) is a section: set one of its settings, for example {_list_section(name)}"
    where = f"{name} ({setting.variable}, from {source.place})"
    if name == PROPERTIES and path[-1] == "[key]":
        return f"{where} cannot have a property called {show_name(path[2])}: names have letters, digits, dots, _ and -"
    if name == PROPERTIES and path[2:]:
        return f"{where}: {path[2]} must be a string, a number, true or false; in TOML, names with dots need quotes"
    shown = show_wrong_value(setting, source.find(path[:2]))
    return f"{where} cannot be {shown}: use {setting.allowed} (default: {show_value(setting.default)})"


def _find_all(path: Sequence[str], sources: Sequence[SettingsSource]) -> Iterator[tuple[str, str]]:
    """Yield the name and place of an unknown setting; of an unknown section, of every setting in it."""
    name = ".".join(path)
    for source in sources:
        match source.find(path):
            case None:
                continue
            case dict(inner) if len(path) == 1 and inner:
                yield from ((f"{name}.{field}", source.place) for field in inner)
            case _:
                yield name, source.place


def _explain_unknown(name: str, place: str) -> str:
    near = _find_near(name)
    remedy = f"did you mean {near.name} ({near.variable})?" if near else "list the settings with: emotag config list"
    return f"{show_name(name)} (from {place}) is not a setting; {remedy}"


def _find_near(name: str) -> Setting | None:
    """Return the setting whose name is the nearest, or whose name without its section is *name*."""
    settings = {setting.name: setting for setting in list_settings().values()}
    same_field = [each for each in settings if each.endswith(f".{name}")]
    near = same_field if len(same_field) == 1 else difflib.get_close_matches(name, settings, n=1, cutoff=NEAR)
    return settings[near[0]] if near else None


def _list_section(section: str) -> str:
    return next(each.name for each in list_settings().values() if each.name.startswith(f"{section}."))
