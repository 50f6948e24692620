"""A recorded run with one row in each of three tables."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.results import PerformanceGoal, Results, Row


@pytest.fixture
def machine() -> dict[str, Any]:
    return {
        "processor": "A Processor",
        "instructions": ["avx2", "avx512_vnni"],
        "cores": 2,
        "memory_gb": 16.0,
        "os": "Linux",
        "python": "3.11.9",
        "versions": {"torch": "2.11.0"},
        "date": "2026-11-25T10:00:00+00:00",
        "commit": "abc1234",
    }


@pytest.fixture
def make_run(machine: dict[str, Any]) -> Callable[..., Results]:
    rows = [
        Row("engine", "emotag", 1234.5, "texts/s", 1200.0, 1300.0, 21.5, "plain torch", "fp32"),
        Row("stream", "emotag, exactly once", 987.0, "messages/s", 900.0, 999.0),
        Row("start", "emotag", 1.25, "s", 1.2, 1.5),
    ]

    def make(*goals: PerformanceGoal) -> Results:
        return Results(machine, "make bench", rows, goals, ["ctranslate2: not installed"])

    return make


@pytest.fixture
def make_goal() -> Callable[..., PerformanceGoal]:
    def make(measured: float | None, *, higher_is_better: bool = True) -> PerformanceGoal:
        least, goal = (1.2, 2.0) if higher_is_better else (5.0, 1.5)
        return PerformanceGoal("faster", measured, least, goal, higher_is_better, "the reason")

    return make
