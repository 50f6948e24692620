"""The goals of the stream are ratios to the do-it-yourself stack, and processor time against the engine."""

import pytest

from benchmarks.measurements import Measurements
from benchmarks.report import COST
from benchmarks.stream import table
from benchmarks.stream.comparison import BATCHES, COLD, ENGINE, HALF, OWN, OWN_HALF, PLAIN, QUIX

RATES = {ENGINE: 100.0, BATCHES: 90.0, COLD: 88.0, OWN: 50.0, HALF: 160.0, OWN_HALF: 50.0, PLAIN: 80.0, QUIX: 60.0}


def add(unit: str, values: dict[str, float]) -> Measurements:
    measured = Measurements("stream", unit)
    for number in range(3):
        for name, value in values.items():
            measured.add(name, number, value)
    return measured


def test_the_stream_is_compared_with_a_stack_that_brings_its_own_engine() -> None:
    spent = add("µs/message", {BATCHES: 1000.0, COLD: 1040.0})
    note = "1,024 messages, one result each; 9 µs of processor per message; Lib, batches of 16, no cache"
    to_own, half, to_engine, one_core = table.compute_goals(add("messages/s", RATES), spent, {OWN: note})
    assert pytest.approx(1.76) == to_own.measured
    assert pytest.approx(1.76) == to_own.low
    assert "Lib, batches of 16, no cache" == to_own.why
    assert pytest.approx(3.2) == half.measured
    assert pytest.approx(1000 / 1040) == to_engine.measured
    assert one_core.measured is None


def test_without_the_stack_its_goals_are_not_measured() -> None:
    goals = table.compute_goals(add("messages/s", {COLD: 1.0, BATCHES: 1.0}), add("µs/message", {}), {})
    assert [None] * 4 == [goal.measured for goal in goals]


def test_rows_with_the_same_engine_are_in_a_table_of_their_own() -> None:
    rows = table.make_rows(add("messages/s", RATES), {})
    by_table = {name: {row.name: row.against for row in rows if row.table == name} for name in ("stream", COST)}
    assert {COLD: OWN, OWN: "", HALF: OWN_HALF, OWN_HALF: ""} == by_table["stream"]
    assert {ENGINE: "", BATCHES: ENGINE, COLD: ENGINE, PLAIN: ENGINE, QUIX: ENGINE} == by_table[COST]
