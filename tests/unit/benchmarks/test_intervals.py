"""An interval of a ratio covers the true ratio, is repeatable, and decides between a difference and a tie."""

import numpy as np
import pytest

from benchmarks.intervals import LEAST_ROUNDS, Interval, bootstrap_median


@pytest.mark.parametrize(("low", "high", "tie"), [(0.97, 1.04, True), (1.0, 1.2, True), (1.01, 1.2, False)])
def test_an_interval_that_contains_one_is_a_tie(low: float, high: float, *, tie: bool) -> None:
    assert tie == Interval(low, high).is_tie


def test_the_same_rounds_have_the_same_interval_within_their_range() -> None:
    rounds = [1.31, 1.40, 1.35, 1.52, 1.38, 1.33, 1.41]
    interval = bootstrap_median(rounds)
    assert interval is not None
    assert interval == bootstrap_median(rounds)
    assert min(rounds) <= interval.low < 1.38 < interval.high <= max(rounds)


def test_one_disturbed_round_does_not_widen_the_interval() -> None:
    interval = bootstrap_median([1.40, 1.41, 1.39, 9.0, 1.40, 1.42, 1.38])
    assert interval is not None
    assert interval.high < 2


def test_most_intervals_contain_the_true_ratio() -> None:
    rng = np.random.default_rng(1)
    samples = [bootstrap_median((1.5 * np.exp(rng.normal(0, 0.05, 7))).tolist()) for _ in range(60)]
    hits = [each is not None and each.low <= 1.5 <= each.high for each in samples]
    assert sum(hits) >= 50


def test_too_few_rounds_have_no_interval() -> None:
    assert bootstrap_median([1.5] * (LEAST_ROUNDS - 1)) is None
