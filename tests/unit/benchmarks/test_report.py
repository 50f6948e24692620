"""The report shows every table, ratio, goal and missing competitor."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.results import PerformanceGoal, Results


def test_a_report_has_every_table_its_ratios_and_what_is_missing(
    make_run: Callable[..., Results], make_goal: Callable[..., PerformanceGoal]
) -> None:
    rendered = report.render(make_run(make_goal(1.5), make_goal(None)))
    assert "| emotag | 1,234 texts/s | 1,200 to 1,300 | 21.5 × plain torch | fp32 |" in rendered
    for expected in ("A Processor, 2 cores (AVX2, AVX-512 VNNI)", "torch 2.11.0", "commit abc1234", "1.25 s"):
        assert expected in rendered
    assert "- ctranslate2: not installed" in rendered
    assert "| faster | 1.50 | 1.20 | 2.00 | least met | the reason |" in rendered
    assert "| faster |  | 1.20 | 2.00 | not measurable | the reason |" in rendered


def test_a_ratio_has_its_interval_and_an_interval_with_one_is_a_tie(make_run: Callable[..., Results]) -> None:
    run = make_run()
    rows = [replace(run.rows[0], ratio=1.02, ratio_low=low, ratio_high=1.1) for low in (0.98, 1.01)]
    rendered = report.render(replace(run, rows=rows))
    assert "| 1.02 × plain torch (0.980 to 1.10): a tie |" in rendered
    assert "| 1.02 × plain torch (1.01 to 1.10) |" in rendered


def test_a_goal_has_its_interval(make_run: Callable[..., Results], make_goal: Callable[..., PerformanceGoal]) -> None:
    goal = replace(make_goal(1.5), low=0.9, high=1.6)
    assert "| faster | 1.50 (0.900 to 1.60) | 1.20 | 2.00 | least met |" in report.render(make_run(goal))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.01234, "0.0123"), (2, "2.00"), (78.94, "78.9"), (100, "100"), (12345.6, "12,346")],
)
def test_numbers_have_three_figures(value: float, expected: str) -> None:
    assert expected == report.format_number(value)
