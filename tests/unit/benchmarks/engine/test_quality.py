"""Competitors with slightly rounded probabilities are comparable, others are not."""

import numpy as np
import pytest

from benchmarks.engine.quality import COMPARABLE, judge_quality
from emotag_training.evaluation.metrics import cross_validate_macro_f1


def test_slightly_rounded_probabilities_are_comparable_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    targets_NK = (rng.random((2000, 2)) < 0.2).astype(np.float32)
    reference_NK = np.clip(0.2 + 0.3 * targets_NK + rng.normal(0, 0.1, targets_NK.shape), 0, 1).astype(np.float32)
    rounded_NK = (reference_NK + rng.normal(0, 0.001, targets_NK.shape)).astype(np.float32)
    exact = judge_quality(reference_NK, reference_NK, targets_NK)
    assert (cross_validate_macro_f1(reference_NK, targets_NK)[0], 0) == (exact.macro_f1, exact.lost)
    rounded = judge_quality(rounded_NK, reference_NK, targets_NK)
    assert rounded.comparable
    assert rounded.lost == pytest.approx(0, abs=COMPARABLE)
    others = judge_quality(rng.random(targets_NK.shape).astype(np.float32), reference_NK, targets_NK)
    assert not others.comparable


def test_without_labels_probabilities_are_compared_with_the_reference_only() -> None:
    reference_NK = np.full((4, 2), 0.5, np.float32)
    assert judge_quality(reference_NK + 0.009, reference_NK, None).comparable
    assert not judge_quality(reference_NK + 0.011, reference_NK, None).comparable
