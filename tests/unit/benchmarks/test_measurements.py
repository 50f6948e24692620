"""Ratios are taken within a round, and the order of the competitors rotates."""

from functools import partial

import pytest

from benchmarks.measurements import Measurements


def test_ratios_are_taken_within_a_round() -> None:
    """The machine was half as fast in the second round, for both. A ratio of the medians would be 0.45."""
    rates = Measurements("stream", "messages/s")
    for number, (speed, share) in enumerate([(100.0, 0.9), (50.0, 0.9), (100.0, 0.45)]):
        rates.add("engine", number, speed)
        rates.add("worker", number, speed * share)
    engine, worker = rates.rows(against="engine", notes={"worker": "a note"})
    assert worker.ratio == pytest.approx(0.9)
    assert ("engine", "a note", 45.0, 90.0) == (worker.against, worker.note, worker.low, worker.high)
    assert engine.ratio is None
    assert worker.ratio is not None
    assert worker.ratio_low is not None
    assert worker.ratio_high is not None
    assert worker.ratio_low <= worker.ratio <= worker.ratio_high


def test_each_row_has_its_own_row_to_compare_with() -> None:
    rates = Measurements("stream", "messages/s")
    for name, rate in {"worker": 90.0, "loop": 60.0, "engine": 100.0}.items():
        rates.add(name, 0, rate)
    rows = {row.name: row for row in rates.rows(against={"worker": "loop", "loop": "nobody"}, notes={})}
    assert (1.5, "loop") == (rows["worker"].ratio, rows["worker"].against)
    assert [None, None] == [rows["loop"].ratio, rows["engine"].ratio]
    assert rows["worker"].ratio_low is None, "one round has no interval"


def test_every_competitor_runs_once_per_round_and_none_is_always_first() -> None:
    order: list[str] = []

    def record(name: str) -> float:
        order.append(name)
        return float(len(order))

    measured = Measurements("engine", "texts/s")
    measured.interleave({name: partial(record, name) for name in "abc"}, rounds=3, pause_s=0)
    assert list("abcbcacab") == order
    assert {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]} == {
        name: measured.values(name) for name in measured.names()
    }


def test_a_competitor_that_failed_has_no_row() -> None:
    rates = Measurements("stream", "messages/s")
    rates.add("engine", 0, 100.0)
    rates.add("worker", 0, 90.0)
    rates.drop("worker")
    assert ["engine"] == [row.name for row in rates.rows(against="engine", notes={})]
