"""Results are stored without loss, and each goal has the right verdict."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.results import PerformanceGoal, Results


def test_load_returns_what_save_wrote(
    tmp_path: Path, make_run: Callable[..., Results], make_goal: Callable[..., PerformanceGoal]
) -> None:
    saved = make_run(make_goal(1.5), make_goal(None))
    results.save(saved, tmp_path / "deep" / "latest.json")
    loaded = results.load(tmp_path / "deep" / "latest.json")
    assert (saved.rows, list(saved.goals), saved.missing) == (loaded.rows, loaded.goals, loaded.missing)
    assert (saved.machine, saved.command) == (loaded.machine, loaded.command)


@pytest.mark.parametrize(
    ("measured", "higher_is_better", "verdict"),
    [
        (2.0, True, "met"),
        (1.2, True, "least met"),
        (1.19, True, "missed"),
        (None, True, "not measurable"),
        (1.5, False, "met"),
        (5.0, False, "least met"),
        (5.1, False, "missed"),
    ],
)
def test_a_goal_has_a_verdict(
    measured: float | None, higher_is_better: bool, verdict: str, make_goal: Callable[..., PerformanceGoal]
) -> None:
    assert verdict == make_goal(measured, higher_is_better=higher_is_better).verdict
