"""From probabilities to labels."""

import numpy as np
import pytest

from emotag_model.thresholds import Thresholds


def test_a_label_is_given_at_or_over_its_threshold() -> None:
    thresholds = Thresholds(("a", "b"), (0.5, 0.25), "f1")
    probabilities_BK = np.array([[0.5, 0.24], [0.49, 0.25]], np.float32)
    assert [[True, False], [False, True]] == thresholds.decide(probabilities_BK).tolist()


def test_a_fixed_threshold_is_the_same_for_all_labels_and_says_so() -> None:
    fixed = Thresholds.fixed(["a", "b"], 0.3)
    assert ((0.3, 0.3), "fixed:0.3") == (fixed.values, fixed.policy)


@pytest.mark.parametrize(("values", "why"), [((0.5,), "1 thresholds for 2 labels"), ((0.5, 0.0), "b=0.0")])
def test_impossible_thresholds_are_refused(values: tuple[float, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Thresholds(("a", "b"), values, "f1")


def test_a_threshold_of_1_means_never() -> None:
    """`precision@P` gives it to labels that never reach P. Rounded for the cache, a probability can be 1."""
    thresholds = Thresholds(("a", "b"), (1.0, 0.5), "precision@0.9")
    assert [[False, True]] == thresholds.decide(np.ones((1, 2), np.float32)).tolist()
