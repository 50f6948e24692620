"""The learning rate's factor over a run."""

from itertools import pairwise

import pytest

from emotag_training.loop.optimizer import compute_rate_factor
from emotag_training.recipe import ScheduleSection

STEPS = 100


def test_the_rate_rises_over_the_warmup_and_then_falls_to_nearly_nothing() -> None:
    schedule = ScheduleSection(warmup=0.1)
    factors = [compute_rate_factor(step, STEPS, schedule) for step in range(STEPS)]
    assert all(before < after for before, after in pairwise(factors[:10]))
    assert all(before > after for before, after in pairwise(factors[10:]))
    assert 1.0 == factors[10]
    assert 0 < factors[-1] < 0.01


def test_in_the_reference_recipe_the_rate_changes_once_an_epoch() -> None:
    schedule = ScheduleSection(warmup=0.0, per_epoch_cosine=True, epochs=4)
    factors = [compute_rate_factor(step, STEPS, schedule) for step in range(STEPS)]
    assert 4 == len(set(factors))
    assert all(1 == len(set(factors[start : start + 25])) for start in range(0, STEPS, 25))
    assert factors[50] == pytest.approx(0.5)
