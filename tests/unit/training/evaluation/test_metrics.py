"""The figures of a model, compared with reference implementations and with hand calculations."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef, roc_auc_score

from emotag_training.evaluation.metrics import (
    compute_metrics,
    cross_validate_decisions,
    cross_validate_macro_f1,
    find_best_f1_cuts,
    find_best_f1_thresholds,
)
from emotag_training.evaluation.platt import compute_logits

RNG = np.random.default_rng(0)
TARGETS_NK = (RNG.random((400, 3)) < (0.5, 0.2, 0.05)).astype(np.float32)
PROBABILITIES_NK = np.clip(0.35 * TARGETS_NK + 0.6 * RNG.random((400, 3)), 0.001, 0.999).astype(np.float32)
LABELS = ("a", "b", "c")


def test_no_threshold_gives_a_better_f1_than_the_chosen_one() -> None:
    """On the rows they were tuned on, with the annotators' labels alone."""
    chosen_K = find_best_f1_thresholds(PROBABILITIES_NK, TARGETS_NK, trust=0.0)
    for k in range(3):
        best = f1_score(TARGETS_NK[:, k], PROBABILITIES_NK[:, k] >= chosen_K[k])
        for threshold in np.linspace(0.01, 0.99, 197):
            assert f1_score(TARGETS_NK[:, k], PROBABILITIES_NK[:, k] >= threshold, zero_division=0) <= best + 1e-9


def test_a_label_nobody_was_given_gets_the_middle() -> None:
    targets_NK = TARGETS_NK * (1, 1, 0)
    assert 0.5 == find_best_f1_cuts(PROBABILITIES_NK.astype(np.float64), targets_NK, trust=0.0)[2]


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 2.0), (1.0, -4.0), (0.5, 0.5), (3.0, 0.0)])
def test_the_level_of_the_scores_changes_no_decision(scale: float, shift: float) -> None:
    """A model whose probabilities are all too high, too low or too timid gives the same labels."""
    own_NK = 1 / (1 + np.exp(-(scale * compute_logits(PROBABILITIES_NK) + shift)))
    moved_NK = own_NK.astype(np.float32)
    before_NK = PROBABILITIES_NK >= find_best_f1_thresholds(PROBABILITIES_NK, TARGETS_NK)
    after_NK = moved_NK >= find_best_f1_thresholds(moved_NK, TARGETS_NK)
    assert (before_NK == after_NK).all()
    before, _ = cross_validate_macro_f1(PROBABILITIES_NK, TARGETS_NK)
    after, _ = cross_validate_macro_f1(moved_NK, TARGETS_NK)
    assert before == pytest.approx(after, abs=0.002)


def test_equal_scores_are_never_cut_apart() -> None:
    probabilities_NK = np.array([[0.2], [0.2], [0.2], [0.9]], dtype=np.float32)
    targets_NK = np.array([[1], [0], [0], [1]], dtype=np.float32)
    threshold = find_best_f1_thresholds(probabilities_NK, targets_NK, trust=0.0)[0]
    assert not 0.15 < threshold <= 0.2


def test_cross_validation_does_not_flatter_as_tuning_on_the_same_rows_does() -> None:
    noise_NK = RNG.random((300, 3)).astype(np.float32)
    targets_NK = (RNG.random((300, 3)) < 0.1).astype(np.float32)
    thresholds_K = find_best_f1_thresholds(noise_NK, targets_NK, trust=0.0)
    flattered = f1_score(targets_NK, noise_NK >= thresholds_K, average="macro")
    honest, deviation = cross_validate_macro_f1(noise_NK, targets_NK, trust=0.0)
    assert honest < flattered
    assert 0 < deviation < 0.1


def test_a_label_with_the_threshold_1_is_never_given_in_cross_validation_either() -> None:
    certain_NK = np.ones((8, 1), np.float32)
    never = cross_validate_decisions(certain_NK, certain_NK, choose=lambda *_: np.ones(1, np.float32), splits=2)
    assert not np.any(list(never))


def test_the_figures_are_those_of_scikit_learn() -> None:
    figures = compute_metrics(PROBABILITIES_NK, TARGETS_NK, [0.5, 0.5, 0.5], LABELS)
    decided_NK = PROBABILITIES_NK >= 0.51
    assert pytest.approx(roc_auc_score(TARGETS_NK, PROBABILITIES_NK), abs=1e-4) == figures["roc_auc"]
    assert (
        pytest.approx(matthews_corrcoef(TARGETS_NK.ravel(), decided_NK.ravel()), abs=1e-4)
        == figures["at_0.51"]["mcc_micro"]
    )
    assert int(TARGETS_NK[:, 2].sum()) == figures["per_label"]["c"]["support"]


def test_of_one_label_the_means_over_labels_are_its_own() -> None:
    """scikit-learn would average over the label and its absence."""
    figures = compute_metrics(PROBABILITIES_NK[:, :1], TARGETS_NK[:, :1], [0.5], LABELS[:1])
    decisions, own = figures["own_thresholds"], figures["per_label"][LABELS[0]]
    assert 0 < own["f1"] < 1
    assert own["f1"] == decisions["macro_f1"] == decisions["micro_f1"]
    assert (own["precision"], own["recall"]) == (decisions["macro_precision"], decisions["macro_recall"])


def test_the_originals_auc_is_named_for_what_it_is() -> None:
    """For 0/1 decisions it is (1 + TPR - FPR) / 2, not ROC-AUC."""
    figures = compute_metrics(PROBABILITIES_NK, TARGETS_NK, [0.5, 0.5, 0.5], LABELS)
    expected = np.mean([roc_auc_score(TARGETS_NK[:, k], PROBABILITIES_NK[:, k] >= 0.51) for k in range(3)])
    assert pytest.approx(expected, abs=1e-4) == figures["at_0.51"]["auc_binarised"]


def test_labels_that_all_or_none_have_are_left_out_of_ranking_and_named() -> None:
    """Without a warning of scikit-learn, which would fail this test."""
    targets_NK = TARGETS_NK.copy()
    targets_NK[:, 1:] = 0, 1
    figures = compute_metrics(PROBABILITIES_NK, targets_NK, [0.5] * 3, LABELS)
    assert ["b", "c"] == figures["left_out_of_ranking"]
    assert pytest.approx(roc_auc_score(targets_NK[:, 0], PROBABILITIES_NK[:, 0]), abs=1e-4) == figures["roc_auc"]
    one = compute_metrics(PROBABILITIES_NK[:1], TARGETS_NK[:1] * 0, [0.5] * 3, LABELS)
    assert (None, None) == (one["roc_auc"], one["mean_average_precision"])
