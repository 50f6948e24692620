"""Exports are written once, and a failed one leaves no files."""

from pathlib import Path

import pytest

from benchmarks.engine.competitors.exports import Exports
from emotag_model import artifact


def test_an_export_is_made_once_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    exports = Exports(artifact.load(artifact.DEFAULT), tmp_path)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("graph", encoding="utf-8")

    def fail(path: Path) -> None:
        make(path)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        exports.make_once("model.onnx", fail)
    assert [] == list(exports.folder.iterdir())
    assert exports.make_once("model.onnx", make) == exports.make_once("model.onnx", make)
    assert 2 == len(made)


def test_of_two_processes_that_make_the_same_folder_the_first_one_to_finish_keeps_it(tmp_path: Path) -> None:
    exports = Exports(artifact.load(artifact.DEFAULT), tmp_path)

    def write(path: Path, text: str) -> None:
        path.mkdir()
        (path / "graph").write_text(text, encoding="utf-8")

    def lose_race(path: Path) -> None:
        write(exports.folder / "model", "first")
        write(path, "second")

    made = exports.make_once("model", lose_race)
    assert "first" == (made / "graph").read_text(encoding="utf-8")
    assert [made] == list(exports.folder.iterdir())
