"""The constant part of a cache key changes with all code and libraries that decide an entry."""

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from emotag_worker.cache.rules import FOLDER, LIBRARIES, hash_code, identify_entries
from tests.unit.worker.scripted import OneLabel


class Other(OneLabel):
    """A tagger that differs from `OneLabel` in one attribute."""

    def __init__(self, attribute: str, value: str) -> None:
        setattr(self, attribute, value)


@pytest.fixture(autouse=True)
def hash_again() -> Iterator[None]:
    hash_code.cache_clear()
    yield
    hash_code.cache_clear()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "copied", ignore=shutil.ignore_patterns("__pycache__", "artifacts", "*.so"))
    return tmp_path / "copied"


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


@pytest.mark.parametrize(
    "name", ["tagger.py", "engines/int8.py", "engines/native/forward.c", "engines/native/fold.h", "scope/english.txt"]
)
def test_other_code_has_another_hash(copied: Path, name: str) -> None:
    before = hash_code(entries=1)
    assert before == hash_code(copied, entries=1)
    hash_code.cache_clear()
    with (copied / name).open("a") as file:
        file.write(" ")
    assert before != hash_code(copied, entries=1)


def test_a_new_or_renamed_module_has_another_hash(copied: Path) -> None:
    before = hash_code(entries=1)
    (copied / "tagger.py").rename(copied / "renamed.py")
    assert before != hash_code(copied, entries=1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_has_another_hash(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before, versions = hash_code(entries=1), {name: version(name) for name in LIBRARIES}
    monkeypatch.setattr("emotag_worker.cache.rules.version", (versions | {library: "0"}).__getitem__)
    hash_code.cache_clear()
    assert before != hash_code(entries=1)


def test_other_tables_of_characters_have_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = hash_code(entries=1)
    monkeypatch.setattr("unicodedata.unidata_version", "1.0.0")
    hash_code.cache_clear()
    assert before != hash_code(entries=1)


@pytest.mark.parametrize(("engine", "library"), [("openvino", "openvino"), ("torch", "torch"), ("reference", "torch")])
def test_another_version_of_the_engines_library_has_other_keys(
    monkeypatch: pytest.MonkeyPatch, engine: str, library: str
) -> None:
    before = identify_entries(Other("engine", engine), reasons=False)
    monkeypatch.setattr("emotag_worker.cache.rules.version", lambda name: "0" if name == library else version(name))
    assert before != identify_entries(Other("engine", engine), reasons=False)
