"""Threshold policies: each is parsed, chosen and recorded by its name, and no other is."""

from typing import Any

import numpy as np
import pytest

from emotag_training.data.split import Split
from emotag_training.errors import PolicyError
from emotag_training.evaluation import thresholds
from emotag_training.evaluation.thresholds import AtPrecision, BestF1, Fixed, Policy, choose_thresholds, parse_policy

RNG = np.random.default_rng(0)
TARGETS_NK = (RNG.random((400, 3)) < (0.5, 0.2, 0.05)).astype(np.float32)
PROBABILITIES_NK = np.clip(0.35 * TARGETS_NK + 0.6 * RNG.random((400, 3)), 0.001, 0.999).astype(np.float32)
LABELS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "policy"), [("f1", BestF1()), ("precision@0.8", AtPrecision(0.8)), ("fixed:0.51", Fixed(0.51))]
)
def test_a_policy_is_parsed_and_recorded_by_its_name(text: str, policy: Policy) -> None:
    assert policy == parse_policy(text)
    assert text == choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), text).policy


def test_a_policy_that_is_parsed_but_not_chosen_by_is_an_error_and_never_f1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new policy with a forgotten branch must not be recorded as another one."""

    def parse(text: str) -> Any:
        return text

    monkeypatch.setattr(thresholds, "parse_policy", parse)
    with pytest.raises(AssertionError, match="quantile"):
        choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), "quantile@0.9")


def test_a_policy_of_precision_gives_the_smallest_threshold_that_reaches_it() -> None:
    """A label that never reaches the precision gets 1, which no text reaches."""
    targets_NK = TARGETS_NK.copy()
    targets_NK[PROBABILITIES_NK[:, 2].argsort()[-200:], 2] = 0
    dev = Split(("x",) * 400, targets_NK, LABELS, "sha")
    chosen = choose_thresholds(PROBABILITIES_NK, dev, "precision@0.9")
    assert ("precision@0.9", 1.0) == (chosen.policy, chosen.values[2])
    for k in (0, 1):
        scores_N, cut = PROBABILITIES_NK[:, k], np.float32(chosen.values[k])
        reached = {float(t): targets_NK[scores_N >= t, k].mean() >= 0.9 for t in scores_N}
        assert reached[float(cut)]
        assert not any(is_reached for t, is_reached in reached.items() if t < cut)


@pytest.mark.parametrize(
    "policy", ["best", "fixed:", "fixed:x", "fixed:2", "precision@", "precision@0", "precision@nan"]
)
def test_a_policy_that_is_none_is_refused(policy: str) -> None:
    with pytest.raises(PolicyError, match="use f1, precision@P or fixed:T"):
        choose_thresholds(PROBABILITIES_NK, Split(("x",) * 400, TARGETS_NK, LABELS, "sha"), policy)
