"""Figures that follow from probabilities, targets and thresholds."""

import numpy as np
import pytest

from emotag_model.thresholds import Thresholds
from emotag_training.data.split import Split
from emotag_training.evaluation.evaluate import compute_figures

RNG = np.random.default_rng(0)
TARGETS_NK = (RNG.random((60, 2)) < 0.4).astype(np.float32)
PROBABILITIES_NK = np.clip(0.4 * TARGETS_NK + 0.5 * RNG.random((60, 2)), 0.01, 0.99).astype(np.float32)
LABELS = ("joy", "anger")


@pytest.mark.parametrize(
    ("policy", "has_precision"), [("precision@0.5", True), ("precision@1", False), ("by hand", False), ("f1", False)]
)
def test_thresholds_of_any_policy_are_measured(policy: str, has_precision: bool) -> None:
    """A model can have thresholds by a policy that this emotag does not choose by."""
    thresholds = Thresholds(LABELS, (0.4, 0.5), policy, "")
    split = Split(tuple(f"text {row}" for row in range(60)), TARGETS_NK, LABELS, "0" * 64)
    found = compute_figures(PROBABILITIES_NK, thresholds, split)
    assert has_precision == ("precision_cross_validated" in found)
    assert 60 == found["texts"]
