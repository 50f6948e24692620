"""Render all settings: as a table, as JSON objects, as a TOML file to edit, and as the table of docs/settings.md."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from emotag_worker.settings import Settings
from emotag_worker.settings.loader import SettingsSource, find_source
from emotag_worker.settings.reference import Setting, list_settings, mask_secrets, show_value

WIDTH = 100
"""Longest line of a comment in the TOML file."""

HEADER = """\
# All settings of emotag. Use this file with: emotag run --config emotag.toml
# To change a setting, delete the # in front of its name and edit the value.
# Environment variables and --set have priority over this file.
"""


def list_objects(settings: Settings, sources: Sequence[SettingsSource]) -> Iterator[dict[str, Any]]:
    """Yield every setting with its value and the value's source, as JSON values with secrets masked."""
    values = mask_secrets(settings)
    for setting in list_settings().values():
        section, _, field = setting.name.rpartition(".")
        yield {
            "name": setting.name,
            "variable": setting.variable,
            "default": setting.default,
            "value": (values[section] if section else values)[field],
            "source": find_source(sources, setting.name),
            "allowed": setting.allowed,
            "meaning": setting.meaning,
        }


def render_settings(objects: Iterator[Mapping[str, Any]]) -> Table:
    """Return a table for people: variable and default on the left; value, source and meaning on the right."""
    table = Table(box=None, padding=(0, 2, 1, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in objects:
        is_default = each["source"] == "default"
        table.add_row(
            Text.assemble((each["variable"], "bold"), "\n", (f"default: {show_value(each['default'])}", "dim")),
            Text.assemble(
                (show_value(each["value"]), "" if is_default else "bold"),
                (f"  ({each['source']})", "dim"),
                f"\n{each['meaning']}\nAllowed: {each['allowed']}.",
            ),
        )
    return table


def render_example() -> str:
    """Return a TOML file with every setting, commented out, that `--config` accepts."""
    blocks = [HEADER, *(_render_toml(each) for each in list_settings().values() if "." not in each.name)]
    for name, field in Settings.model_fields.items():
        inside = [each for each in list_settings().values() if each.name.startswith(f"{name}.")]
        if inside:
            blocks.append(f"# {type(field.default).__doc__}\n[{name}]\n")
            blocks += [_render_toml(setting) for setting in inside]
    return "\n".join(blocks)


def render_markdown() -> str:
    """Return the table of every setting for docs/settings.md."""
    rows = [
        f"| `{each.variable}` | {_render_default(each.default)} | {each.allowed} | {each.meaning} |"
        for each in list_settings().values()
    ]
    return "\n".join(["| variable | default | allowed | meaning |", "|---|---|---|---|", *rows])


def _render_default(default: Any) -> str:
    return "none" if default is None else f"`{show_value(default)}`"


def _render_toml(setting: Setting) -> str:
    values = f"Allowed: {setting.allowed}. Default: {show_value(setting.default)}."
    comments = [
        textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ") for text in (setting.meaning, values)
    ]
    return "\n".join([*comments, f"#{setting.name.rpartition('.')[2]} = {_format_toml(setting.example)}\n"])


def _format_toml(value: Any) -> str:
    """Format a string, a number, a boolean or a flat table; JSON and TOML write the first three in the same way."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {_format_toml(each)}' for name, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
