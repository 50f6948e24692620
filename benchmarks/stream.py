"""Topic to topic: messages a second of `emotag run` and of its rivals, through a real Kafka and a real Valkey.

Everybody is a process that has its model loaded and its group joined and has answered some messages. It is stopped
(SIGSTOP) while its input topic is filled; the clock runs from when it goes on until a read_committed consumer has every
answer. Everybody has the same model through the same `EmotionTagger`, the same batch, and gets the same texts once a
round, so that what differs is the stream. Threads of the model wait passively (`OMP_WAIT_POLICY`), everybody's.
"""

import time
from collections.abc import Mapping

from .field import COLD, ENGINE, FULL, HALF, PINNED, RIVALS, SHORT, STEPS, everybody
from .results import Budget, Goal, Report
from .tally import Tally

ENGINE_GOAL = "stream throughput against the engine alone, cold cache, exactly once"
RIVALS_GOAL = "stream against the best of FastStream, Quix Streams, plain loop with the same model, all batched"
CORE_GOAL = "all-repeats stream, messages/s on one core"


def measure(budget: Budget) -> Report:
    """Run everybody, round by round, for as long as the budget lasts."""
    began = time.monotonic()
    size = SHORT if budget.quick else FULL
    with everybody(size, quick=budget.quick) as ground:
        messages = size.messages(ground.warm())
        longest_s = 0.0
        for number in range(size.rounds):
            if number and time.monotonic() - began + longest_s > size.until_s:
                break
            round_began = time.monotonic()
            ground.round(number, messages)
            longest_s = max(longest_s, time.monotonic() - round_began)
    notes = ground.notes()
    notes[ENGINE] += f"; {ground.supply.origin}, {messages} texts at once, {ground.engine.precision}"
    notes[STEPS] += "; texts of like length find one another only within a step"
    return Report(ground.tally.rows(against=ENGINE, notes=notes), goals(ground.tally, notes), ground.missing)


def goals(tally: Tally, notes: Mapping[str, str]) -> list[Goal]:
    """What the stream promises."""
    names = tally.names()
    best = max((name for name in RIVALS if name in names), key=tally.median, default="")
    to_engine = tally.ratio(COLD, ENGINE) if COLD in names else None
    to_best = tally.ratio(COLD, best) if COLD in names and best else None
    one_core = tally.median(PINNED) if PINNED in names else None
    why_engine = why_best = "it did not run"
    if to_engine is not None:
        why_engine = f"to {STEPS} it is {tally.ratio(COLD, STEPS):.2f}"
    if to_best is not None:
        why_best = f"the best is {best}, at {tally.ratio(best, ENGINE):.2f} of the engine that both wait for"
        if HALF in names:
            why_best += f"; with 50 % repeats, all computed anew by the rival, it is {tally.ratio(HALF, best):.2f}"
    return [
        Goal(ENGINE_GOAL, to_engine, 0.90, 0.97, higher_is_better=True, why=why_engine),
        Goal(RIVALS_GOAL, to_best, 1.5, 3.0, higher_is_better=True, why=why_best),
        Goal(CORE_GOAL, one_core, 15_000, 40_000, higher_is_better=True, why=notes.get(PINNED, "it did not run")),
    ]
