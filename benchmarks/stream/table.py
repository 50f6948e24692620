"""Topic to topic: `emotag run` against a do-it-yourself stack, and the cost of the worker around the engine.

With a real Kafka and a real Valkey. Each process has loaded its model, joined its group and processed some messages. It
is stopped (SIGSTOP) while its input topic is filled. The clock runs from SIGCONT until a read_committed consumer has
every result. In each round, all get the same texts. The do-it-yourself stack brings its own engine; all rows of the
second table run emotag's, so only the stream differs. The threads of the model wait passively in all of them
(`OMP_WAIT_POLICY`).
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.measurements import Measurements
from benchmarks.report import COST
from benchmarks.results import Budget, PerformanceGoal, Report, Row

from .comparison import (
    BATCHES,
    COLD,
    COST_ROWS,
    ENGINE,
    FULL,
    HALF,
    OWN,
    OWN_HALF,
    PINNED,
    SHORT,
    Comparison,
    start_comparison,
)

OWN_GOAL = "stream, exactly once, against the best do-it-yourself stack, no repeats"
HALF_GOAL = "the same, 50 % repeats"
ENGINE_GOAL = "engine against the stream, processor time per message"
CORE_GOAL = "all-repeats stream, messages/s on one core"

PAIRS = {OWN_GOAL: (COLD, OWN, 1.5, 2.0), HALF_GOAL: (HALF, OWN_HALF, 3.0, 3.0)}
"""Both rows of each ratio to the do-it-yourself stack, the required value and the goal."""


def measure(budget: Budget) -> Report:
    """Run all processes, round by round, for as long as the budget lasts."""
    size = SHORT if budget.quick else FULL
    with start_comparison(size, quick=budget.quick) as comparison:
        messages = size.messages(comparison.warm())
        began, longest_s = time.monotonic(), 0.0
        for number in range(size.rounds):
            if number and time.monotonic() - began + longest_s > size.until_s:
                break
            round_began = time.monotonic()
            comparison.run_round(number, messages)
            longest_s = max(longest_s, time.monotonic() - round_began)
    notes = describe(comparison, messages)
    return Report(
        make_rows(comparison.rates, notes), compute_goals(comparison.rates, comparison.spent, notes), comparison.missing
    )


def describe(comparison: Comparison, messages: int) -> dict[str, str]:
    """Return a note for each row."""
    notes, engine = comparison.describe_rows(), comparison.engine
    notes[ENGINE] += f"; {comparison.supply.description}, {messages} texts at once, {engine.engine} {engine.precision}"
    notes[BATCHES] += "; texts are grouped by length only within a batch"
    for row in (OWN, OWN_HALF):
        if row in notes and comparison.own:
            notes[row] += f"; {comparison.own.name}, {comparison.own.configuration}, no cache"
    return notes


def make_rows(rates: Measurements, notes: Mapping[str, str]) -> list[Row]:
    """Return the rows of both tables. emotag without repeats is in both."""
    own = {mine: other for mine, other, *_ in PAIRS.values()}
    stream = [row for row in rates.rows(against=own, notes=notes) if row.name == COLD or row.name not in COST_ROWS]
    cost = [row for row in rates.rows(against=ENGINE, notes=notes) if row.name in COST_ROWS]
    return [*sorted(stream, key=lambda row: row.name not in own and row.name not in own.values())] + [
        replace(row, table=COST) for row in cost
    ]


def compute_goals(rates: Measurements, spent: Measurements, notes: Mapping[str, str]) -> list[PerformanceGoal]:
    """Return the goals of the stream."""
    names = rates.names()
    one_core = rates.median(PINNED) if PINNED in names else None
    goals = []
    for name, (mine, other, least, goal) in PAIRS.items():
        why = notes.get(other, "it did not run").rpartition("message; ")[2]
        goals.append(_compare(name, rates, mine, other, least, goal, why=why))
    by_clock = f"by the clock, the stream has {rates.ratio(COLD, BATCHES):.2f} of its rate" if COLD in names else ""
    return [
        *goals,
        _compare(ENGINE_GOAL, spent, BATCHES, COLD, 0.90, 0.95, why=by_clock),
        PerformanceGoal(
            CORE_GOAL, one_core, 50_000, 60_000, higher_is_better=True, why=notes.get(PINNED, "it did not run")
        ),
    ]


def _compare(
    name: str, values: Measurements, mine: str, other: str, least: float, goal: float, *, why: str
) -> PerformanceGoal:
    if not {mine, other} <= set(values.names()):
        return PerformanceGoal(name, None, least, goal, higher_is_better=True, why="it did not run")
    return values.compare(name, mine, other, least=least, wanted=goal, why=why)
