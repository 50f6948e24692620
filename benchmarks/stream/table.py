"""Topic to topic: messages per second of `emotag run` and of competitors, with a real Kafka and a real Valkey.

Each process has loaded its model, joined its group and processed some messages. It is stopped (SIGSTOP) while its input
topic is filled. The clock runs from SIGCONT until a read_committed consumer has every result. All use the same model
through the same `EmotionTagger`, the same batch size and, in each round, the same texts, so only the stream differs.
The threads of the model wait passively in all of them (`OMP_WAIT_POLICY`).
"""

import time
from collections.abc import Mapping

from benchmarks.measurements import Measurements
from benchmarks.results import Budget, PerformanceGoal, Report

from .comparison import BATCHES, COLD, COMPETITORS, ENGINE, FULL, HALF, PINNED, SHORT, start_comparison

ENGINE_GOAL = "stream throughput against the engine alone, cold cache, exactly once"
COMPETITORS_GOAL = "stream against the best of FastStream, Quix Streams, plain loop with the same model, all batched"
CORE_GOAL = "all-repeats stream, messages/s on one core"


def measure(budget: Budget) -> Report:
    """Run all processes, round by round, for as long as the budget lasts."""
    began = time.monotonic()
    size = SHORT if budget.quick else FULL
    with start_comparison(size, quick=budget.quick) as comparison:
        messages = size.messages(comparison.warm())
        longest_s = 0.0
        for number in range(size.rounds):
            if number and time.monotonic() - began + longest_s > size.until_s:
                break
            round_began = time.monotonic()
            comparison.run_round(number, messages)
            longest_s = max(longest_s, time.monotonic() - round_began)
    notes = comparison.describe_rows()
    notes[ENGINE] += f"; {comparison.supply.description}, {messages} texts at once, {comparison.engine.precision}"
    notes[BATCHES] += "; texts are grouped by length only within a batch"
    return Report(
        comparison.rates.rows(against=ENGINE, notes=notes), compute_goals(comparison.rates, notes), comparison.missing
    )


def compute_goals(rates: Measurements, notes: Mapping[str, str]) -> list[PerformanceGoal]:
    """Return the goals of the stream."""
    names = rates.names()
    best = max((name for name in COMPETITORS if name in names), key=rates.median, default="")
    to_engine = rates.ratio(COLD, ENGINE) if COLD in names else None
    to_best = rates.ratio(COLD, best) if COLD in names and best else None
    one_core = rates.median(PINNED) if PINNED in names else None
    why_engine = why_best = "it did not run"
    if to_engine is not None:
        why_engine = f"compared with {BATCHES}, it is {rates.ratio(COLD, BATCHES):.2f}"
    if to_best is not None:
        why_best = f"the best is {best}, at {rates.ratio(best, ENGINE):.2f} of the engine alone"
        if HALF in names:
            why_best += f"; with 50 % repeats, which the competitor computes again, it is {rates.ratio(HALF, best):.2f}"
    return [
        PerformanceGoal(ENGINE_GOAL, to_engine, 0.90, 0.97, higher_is_better=True, why=why_engine),
        PerformanceGoal(COMPETITORS_GOAL, to_best, 1.5, 3.0, higher_is_better=True, why=why_best),
        PerformanceGoal(
            CORE_GOAL, one_core, 15_000, 40_000, higher_is_better=True, why=notes.get(PINNED, "it did not run")
        ),
    ]
