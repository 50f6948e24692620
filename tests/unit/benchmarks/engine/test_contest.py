"""Every competitor runs in every round, and a slow one on fewer texts."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks import texts
from benchmarks.engine import contest
from benchmarks.engine.competitor_process import CompetitorProcess, Sample, Timed
from benchmarks.engine.contest import Contest, tokenize
from benchmarks.engine.shares import Shares
from benchmarks.results import Budget
from emotag_model.tokens import TokenIds


class Imagined(CompetitorProcess):
    """A competitor that takes a fixed time for each text."""

    def __init__(self, name: str, seconds_per_text: float) -> None:
        self.name, self.takes, self.note = name, "tokens", ""
        self.counts: list[int] = []
        self._each_s = seconds_per_text

    def run(self, tokens: Sequence[TokenIds], texts: Sequence[str], *, least_s: float = 0.0) -> Timed:
        self.counts.append(len(texts))
        taken_s = len(texts) * self._each_s
        return Timed(np.zeros((len(texts), 1), np.float32), taken_s, 2 * taken_s)


def test_rates_and_processor_times_are_per_text_and_a_slow_competitor_gets_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contest, "PAUSE_S", 0)
    timed = texts.load().take(contest.TIMED_TEXTS)
    sample = Sample(tokenize(timed.texts[:8]), timed.texts[:8])
    fast, slow = Imagined("fast", 1e-3), Imagined("slow", 4e-2)
    held = Contest("engine", competitors=[fast, slow])
    held.run_rounds(sample, timed, Shares("fp7"), Budget(quick=False), until_s=60)
    assert [8, *[384] * contest.ROUNDS] == fast.counts
    assert [8, *[100] * contest.ROUNDS] == slow.counts
    assert pytest.approx(1000) == held.rates.median("fast")
    assert pytest.approx(2e3) == held.spent.median("fast")
    assert pytest.approx(25) == held.rates.median("slow")
    assert contest.TIMED_TEXTS == len(held.lengths)


def test_without_time_the_least_number_of_rounds_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "PAUSE_S", 0)
    timed = texts.load().take(contest.QUICK_TEXTS)
    held = Contest("engine", competitors=[Imagined("one", 1e-3)])
    held.run_rounds(Sample(tokenize(["a"]), ["a"]), timed, None, Budget(quick=False), until_s=0)
    assert contest.LEAST_ROUNDS == len(held.rates.values("one"))
