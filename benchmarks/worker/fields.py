"""The cost of scope, language and corrected spelling: as a share of the stream's processor time, and in throughput.

Each round measures all of it on the same new texts: each step in this process, a worker as it is, and a worker with
constants in place of these steps.
"""

import contextlib
import copy
import time
from collections.abc import Callable, Sequence

from benchmarks.measurements import Measurements, rotate
from benchmarks.results import Budget, PerformanceGoal, Report
from benchmarks.stream.lane import Lane
from benchmarks.stream.measured_process import MeasuredProcess
from benchmarks.texts import TextSupply
from emotag_model.tagger import EmotionTagger
from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker, run_kafka
from emotag_worker.wire import encode

from .constant_worker import ConstantWorker

BATCH = 512
"""Texts of a batch of the steps: about as many as a worker takes."""

WARM = 2 * BATCH
"""Texts before the first round. Afterwards the corrector has seen the frequent words, as in a worker that runs."""

SCOPE, SPELLING, ENCODING = "scope and language", "corrected spelling", "encoding scope and language"
ALL = "all of these steps"
WHOLE, CONSTANT = "a worker", "a worker with constants instead"
RATE = ", throughput"
KINDS = {WHOLE: LocalWorker, CONSTANT: ConstantWorker}
SHARE_GOAL = "scope, language and spelling, % of the stream's processor time per new text"
RATE_GOAL = "the same, % of the stream's throughput, against a worker with constants instead"
MOST = 4.0

Step = Callable[[Sequence[str]], float]
"""A step takes new texts, and returns the processor seconds that it adds."""


def measure(budget: Budget) -> Report:
    """Measure the steps and both workers in each round."""
    messages, rounds = (BATCH, 1) if budget.quick else (6 * BATCH, 7)
    tagger, supply = EmotionTagger.load(), TextSupply()
    steps = list_steps(tagger)
    spent, rates = Measurements("fields", "µs/text"), Measurements("fields", "messages/s")
    with run_kafka() as broker, contextlib.ExitStack() as stack:
        workers = {}
        for name, kind in KINDS.items():
            lane = Lane(broker.bootstrap_servers)
            environment = {"EMOTAG_MODEL__ENGINE": tagger.engine, "EMOTAG_MODEL__PRECISION": tagger.precision}
            workers[name] = MeasuredProcess(name, kind({**lane.environment(), **environment}), lane)
            stack.callback(workers[name].close)
            workers[name].server.launch()
        known = supply.take(WARM)
        for worker in workers.values():
            worker.warm(known)
        time_steps(steps, known)
        for number in range(rounds):
            texts = supply.take(messages)
            for name, seconds in time_steps(steps, texts).items():
                spent.add(name, number, 1e6 * seconds / messages)
            for name in rotate(list(workers), number):
                outcome, spent_s = workers[name].run(texts)
                if outcome.lost or outcome.duplicated:
                    raise LocalError(f"{outcome.lost} messages were lost and {outcome.duplicated} duplicated")
                spent.add(name, number, 1e6 * spent_s / messages)
                rates.add(name + RATE, number, outcome.rate)
    note = (
        f"{tagger.engine} {tagger.precision}, {messages:,} new texts in each of {rounds} rounds ({supply.description})"
    )
    return report(spent, rates, note=note)


def list_steps(tagger: EmotionTagger) -> dict[str, Step]:
    """Return the steps that are measured, by their names. A step's input is not part of its time."""
    tokens = tagger._tokens
    plain = copy.copy(tokens)
    plain._spelling = None

    def find_scopes(texts: Sequence[str]) -> float:
        ids = plain(texts)
        return _time(lambda: tagger.find_scopes(texts, ids))

    def correct(texts: Sequence[str]) -> float:
        without_s = _time(lambda: plain(texts))
        return _time(lambda: tokens(texts)) - without_s

    def encode_scopes(texts: Sequence[str]) -> float:
        scopes = tagger.find_scopes(texts, plain(texts))
        return _time(lambda: [encode._encode_scope(*scope) for scope in scopes])

    return {SCOPE: find_scopes, SPELLING: correct, ENCODING: encode_scopes}


def time_steps(steps: dict[str, Step], texts: Sequence[str]) -> dict[str, float]:
    """Return the processor seconds of each step on *texts*, in batches, and of all steps together."""
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    seconds = {name: sum(map(step, batches)) for name, step in steps.items()}
    return {**seconds, ALL: sum(seconds.values())}


def report(spent: Measurements, rates: Measurements, *, note: str) -> Report:
    """Return the rows, and the goals for the share of the steps and for the throughput of the two workers."""
    rows = spent.rows(against=WHOLE, notes={WHOLE: note}) + rates.rows(against=WHOLE + RATE, notes={})
    why = f"{spent.median(ALL):.1f} µs of {spent.median(WHOLE):,.0f} µs; each step alone, with its data in the caches"
    goals = [
        _set_goal(SHARE_GOAL, spent, ALL, WHOLE, percent=lambda ratio: 100 * ratio, why=why),
        _set_goal(
            RATE_GOAL,
            rates,
            WHOLE + RATE,
            CONSTANT + RATE,
            percent=lambda ratio: 100 * (1 - ratio),
            why="with everything that the steps change around them",
        ),
    ]
    return Report(rows, goals)


def _set_goal(
    name: str, measured: Measurements, mine: str, to: str, *, percent: Callable[[float], float], why: str
) -> PerformanceGoal:
    """Return the goal of at most `MOST` percent, from the ratio of *mine* to *to*."""
    interval = measured.interval(mine, to)
    low, high = sorted(map(percent, (interval.low, interval.high))) if interval else (None, None)
    cost = percent(measured.ratio(mine, to))
    return PerformanceGoal(name, cost, MOST, MOST, higher_is_better=False, why=why, low=low, high=high)


def _time(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began
