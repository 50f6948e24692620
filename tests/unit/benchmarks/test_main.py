"""The command finds the module of each table, and one failed table does not end the run."""

from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import report, results
from benchmarks.results import Budget, Report, Row


def test_every_module_has_a_heading() -> None:
    assert list(report.SECTIONS) == list(command.MODULES)


def test_an_unknown_table_is_rejected() -> None:
    with pytest.raises(SystemExit, match=r"--only engine,speed: unknown table speed\. Choose from engine, avx2"):
        command.main(["--only", "engine,speed"])


def test_a_table_that_fails_is_listed_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure_table(table: str, budget: Budget) -> Report:
        if table == "engine":
            raise ValueError("broken")
        return Report([Row(table, "emotag", 1.0, "s", 1.0, 1.0)], [])

    monkeypatch.setattr(command, "measure_table", measure_table)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    assert 1 == command.main(["--only", "engine,start"])
    run = results.load(tmp_path / "partial.json")
    assert ["start"] == [row.table for row in run.rows]
    assert ["engine: ValueError: broken"] == run.missing
    assert "python -m benchmarks --only engine,start" == run.command
    assert "- engine: ValueError: broken" in capsys.readouterr().out
