"""The README's figures of speed are those of the last full run."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report, results, summary
from benchmarks.engine import goals
from benchmarks.engine.competitors import plain_torch
from benchmarks.results import PerformanceGoal, Results, Row

README = Path(__file__).parents[3] / "README.md"


def test_the_readme_quotes_the_last_full_run() -> None:
    """One paragraph links the results, and all its figures are in benchmarks/results/latest.json."""
    paragraphs = [" ".join(part.split()) for part in README.read_text(encoding="utf-8").split("\n\n")]
    (shown,) = (part for part in paragraphs if "(benchmarks/results/latest.md)" in part)
    figures = summary.load_headline()
    assert f"{figures.cores} cores" in shown
    assert f"times as many as {figures.library}" in shown
    assert not figures.interval or f"(95 % interval: {figures.interval})" in shown
    assert [
        (figures.texts_per_s, "texts per second"),
        (figures.times_library, "times"),
        (figures.messages_per_s, "messages per second"),
    ] == re.findall(r"([\d.,]+) (times|texts per second|messages per second)", shown)


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_reports_are_those_of_their_runs(path: Path) -> None:
    """`quick` and `partial` runs are ignored by git."""
    if not path.stem.startswith(("quick", "partial")):
        assert report.render(results.load(path)) == path.with_suffix(".md").read_text(encoding="utf-8")


def test_the_chart_shows_the_fastest_form_of_each_library(make_run: Callable[..., Results]) -> None:
    def row(name: str, value: float, unit: str = "texts/s") -> Row:
        return Row("engine", name, value, unit, value, value)

    rows = [row("emotag", 9), row("emotag, from texts", 8), row("other, float32", 2), row("other, int8", 3)]
    rows += [row(plain_torch.NAME, 1), row("roofline", 99, "GFLOP/s"), row("emotag, slow fp32", 1)]
    run = replace(make_run(), rows=rows)
    assert ["emotag", "other, int8"] == [each.name for each in summary.select_rows(run)]


def test_the_headline_is_taken_from_the_goals_and_rows(
    make_run: Callable[..., Results], make_goal: Callable[..., PerformanceGoal], tmp_path: Path
) -> None:
    goal = replace(make_goal(1.234), name=goals.AVX2_ONLY, why="the best is Lib, int8; …", low=1.1, high=1.31)
    run = make_run(replace(make_goal(None), name=goals.WITH_VNNI), goal)
    worker = Row("stream", "emotag run, exactly once, cold cache", 987.6, "messages/s", 900.0, 999.0)
    results.save(replace(run, rows=[*run.rows, worker]), tmp_path / "run.json")
    expected = summary.Headline("2", "1,234", "1.23", "Lib", "1.10 to 1.31", "988")
    assert expected == summary.load_headline(tmp_path / "run.json")
