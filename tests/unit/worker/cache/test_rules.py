"""The constant part of a cache key changes with each file that decides tokens, reasons, scope or language."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from emotag_worker.cache.rules import FILES, FOLDER, LIBRARIES, hash_rules, identify_entries
from tests.unit.worker.scripted import OneLabel

DECIDE_NOTHING = {
    *(
        "__init__.py",
        "engines/__init__.py",
        "engines/native/__init__.py",
        "scope/__init__.py",
        "spelling/__init__.py",
        "long_texts/__init__.py",
        "reasons/__init__.py",
    ),
    *("errors.py", "engines/native/library.py"),  # raised errors, and the search for the compiled library
}

LIST_IMPORTED = """
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
import emotag_model.long_texts.windows, emotag_model.reasons.explainer
import emotag_model.scope.detector, emotag_model.scope.rules
folder = Path(emotag_model.__file__).parent
files = [Path(module.__file__) for name, module in sys.modules.items() if name.startswith("emotag_model")]
print(*(file.relative_to(folder) for file in files))
"""


class Other(OneLabel):
    """A tagger that differs from `OneLabel` in one attribute."""

    def __init__(self, attribute: str, value: str) -> None:
        setattr(self, attribute, value)


@pytest.fixture(autouse=True)
def hash_anew() -> Iterator[None]:
    hash_rules.cache_clear()
    yield
    hash_rules.cache_clear()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(("attribute", "value"), [("version", "sha256:1"), ("engine", "torch"), ("precision", "int8")])
def test_another_model_engine_or_precision_has_other_keys(attribute: str, value: str) -> None:
    assert identify_entries(OneLabel(), reasons=False) != identify_entries(Other(attribute, value), reasons=False)


def test_another_reading_of_long_texts_has_other_keys() -> None:
    assert 2 == len({identify_entries(Other("long_texts", each), reasons=False) for each in ("first", "windows")})


def test_entries_with_spans_have_other_keys() -> None:
    assert identify_entries(OneLabel(), reasons=False) != identify_entries(OneLabel(), reasons=True)


def test_another_format_of_entries_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify_entries(OneLabel(), reasons=False)
    monkeypatch.setattr("emotag_worker.cache.rules.VERSION", -1)
    assert before != identify_entries(OneLabel(), reasons=False)


@pytest.mark.parametrize("name", FILES)
def test_another_rule_in_any_file_has_another_hash(copied: Path, name: str) -> None:
    before = hash_rules(entries=1)
    assert before == hash_rules(copied, entries=1)
    hash_rules.cache_clear()
    with (copied / name).open("a") as file:
        file.write(" ")
    assert before != hash_rules(copied, entries=1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_has_another_hash(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before, versions = hash_rules(entries=1), {name: version(name) for name in LIBRARIES}
    monkeypatch.setattr("emotag_worker.cache.rules.version", (versions | {library: "0"}).__getitem__)
    hash_rules.cache_clear()
    assert before != hash_rules(entries=1)


def test_other_tables_of_characters_have_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = hash_rules(entries=1)
    monkeypatch.setattr("unicodedata.unidata_version", "1.0.0")
    hash_rules.cache_clear()
    assert before != hash_rules(entries=1)


def test_the_hash_covers_each_module_that_the_rules_import() -> None:
    """A rule that moves to a new module is not forgotten."""
    imported = subprocess.run([sys.executable, "-c", LIST_IMPORTED], capture_output=True, text=True, check=True).stdout
    decide = set(imported.split()) - DECIDE_NOTHING
    assert decide == {name for name in FILES if name.endswith(".py")} - {"tagger.py"}  # it imports everything


def test_the_hash_covers_all_sources_in_c() -> None:
    sources = {f"engines/native/{file.name}" for file in (FOLDER / "engines" / "native").glob("*.[ch]")}
    assert sources == {name for name in FILES if name.endswith((".c", ".h"))}


def test_another_version_of_the_engines_library_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify_entries(OneLabel(), reasons=False)
    monkeypatch.setattr("emotag_worker.cache.rules.version", lambda name: "0" if name == "openvino" else version(name))
    assert before != identify_entries(OneLabel(), reasons=False)
