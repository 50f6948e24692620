"""The forms in which all settings are printed."""

import io
import json
import re
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from emotag_worker.settings import Settings, loader
from emotag_worker.settings.reference import MASK, list_settings
from emotag_worker.terminal.settings_tables import list_objects, render_example, render_markdown, render_settings

SECRET_FLAGS = {"cache": {"url": "redis://:hunter2@r"}, "kafka": {"properties": {"sasl.password": "hunter2", "a": 1}}}


def list_loaded(flags: dict[str, object] | None = None) -> list[dict[str, object]]:
    sources = loader.read_sources(flags=flags)
    return list(list_objects(loader.validate(sources), sources))


def test_the_list_has_every_setting_with_its_value_and_no_secret() -> None:
    objects = list_loaded(SECRET_FLAGS)
    assert list(list_settings()) == [each["variable"] for each in objects]
    assert "hunter2" not in json.dumps(objects)
    by_name = {each["name"]: (each["value"], each["source"]) for each in objects}
    assert (MASK, "--set") == by_name["cache.url"]
    assert ({"sasl.password": MASK, "a": 1}, "--set") == by_name["kafka.properties"]
    assert ("exactly_once", "default") == by_name["delivery"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_has_every_word_at_any_width(width: int) -> None:
    objects = list_loaded(SECRET_FLAGS)
    console = Console(file=io.StringIO(), width=width)
    console.print(render_settings(iter(objects)))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for each in objects:
        assert each["variable"] in words
        assert set(str(each["meaning"]).split()) <= set(words)


@pytest.mark.parametrize("uncommented", [False, True])
def test_the_example_is_accepted_as_it_is_and_with_every_setting_uncommented(uncommented: bool, tmp_path: Path) -> None:
    text = render_example()
    if uncommented:
        text = re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)
        tables = tomllib.loads(text)
        names = {f"{key}.{name}" for key, table in tables.items() if isinstance(table, dict) for name in table}
        names |= {key for key, value in tables.items() if not isinstance(value, dict)}
        assert names == {setting.name for setting in list_settings().values()}
    file = tmp_path / "emotag.toml"
    file.write_text(text, encoding="utf-8")
    read = loader.load(file)
    changed = {each.name for each in list_settings().values() if uncommented and each.example != each.default}
    assert changed == {
        each.name
        for each in list_settings().values()
        if loader.SettingsSource("file", "", read.model_dump()).find(each.name.split(".")) != each.default
    }
    assert uncommented or read == Settings()


def test_the_example_explains_every_setting_in_short_lines() -> None:
    lines = render_example().splitlines()
    assert [] == [line for line in lines if line.startswith("# ") and len(line) > 100]
    text = " ".join(line.removeprefix("# ") for line in lines)
    for setting in list_settings().values():
        assert setting.meaning in text
        assert f"Allowed: {setting.allowed}." in text


def test_the_markdown_table_has_a_row_of_four_cells_for_every_setting() -> None:
    _, _, *rows = render_markdown().splitlines()
    assert [f"`{variable}`" for variable in list_settings()] == [row.split(" | ")[0].removeprefix("| ") for row in rows]
    assert {5} == {row.count("|") for row in rows}
