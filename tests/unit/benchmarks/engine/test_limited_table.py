"""A processor without VNNI has no second table."""

import pytest

from benchmarks.engine import limited_table
from benchmarks.engine.competitors import MODULES
from benchmarks.results import Budget, Report


def test_a_processor_with_avx2_only_is_not_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_table, "list_instructions", lambda: ["avx2"])
    assert Report([], [], []) == limited_table.measure(Budget(quick=True))


def test_the_baselines_are_modules_of_competitors() -> None:
    assert set(limited_table.BASELINES) <= set(MODULES)
