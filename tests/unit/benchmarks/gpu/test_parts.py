"""A part that fails or finds no time is reported, and the others run."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.gpu import parts
from benchmarks.results import Row

ROW = Row("gpu", "emotag", 1.0, "texts/s", 1.0, 1.0)


def install(monkeypatch: pytest.MonkeyPatch, name: str, measure: Any) -> None:
    """Let the part *name* call *measure*."""
    module = ModuleType(f"benchmarks.gpu.{name}")
    module.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_part_that_fails_is_reported_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(subject: Any) -> list[Row]:
        raise RuntimeError("no kernel\nwith a long explanation")

    install(monkeypatch, "first", fail)
    install(monkeypatch, "second", lambda subject: [ROW])
    subject: Any = SimpleNamespace(missing=[])
    assert [[ROW]] == list(parts.run_parts(subject, ["first", "second"]))
    assert ["first: RuntimeError: no kernel"] == subject.missing


def test_a_part_that_would_end_too_late_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 0.0, 361.0, 361.0))
    monkeypatch.setattr(parts, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    install(monkeypatch, "first", lambda subject: [ROW])
    install(monkeypatch, "second", lambda subject: pytest.fail("the second part ran"))
    subject: Any = SimpleNamespace(missing=[])
    assert [[ROW]] == list(parts.run_parts(subject, ["first", "second"]))
    assert ["second: no time is left; run it alone with --only second"] == subject.missing
