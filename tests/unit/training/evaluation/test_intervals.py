"""Intervals and paired differences, compared with scikit-learn and with known differences."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef, roc_auc_score

from emotag_training.evaluation.intervals import compute_differences, compute_draws, compute_intervals, resample

RNG = np.random.default_rng(1)
TARGETS_NK = (RNG.random((300, 3)) < (0.5, 0.2, 0.1)).astype(np.float32)
GOOD_NK = np.clip(0.4 * TARGETS_NK + 0.6 * RNG.random((300, 3)), 0.001, 0.999).astype(np.float32).round(2)
BAD_NK = RNG.random((300, 3)).astype(np.float32)
CUTS = (0.5, 0.5, 0.5)


def test_a_resample_has_the_figures_of_its_rows() -> None:
    """As scikit-learn computes them from the drawn rows, also with equal scores."""
    drawn_RN = resample(300, resamples=3)
    found = compute_draws(GOOD_NK, TARGETS_NK, CUTS, drawn_RN)
    for r, counts_N in enumerate(drawn_RN):
        rows = np.repeat(np.arange(300), counts_N.astype(int))
        truth, scores = TARGETS_NK[rows], GOOD_NK[rows]
        assert pytest.approx(roc_auc_score(truth, scores), abs=1e-5) == found["roc_auc"][r]
        assert pytest.approx(average_precision_score(truth, scores), abs=1e-5) == found["mean_average_precision"][r]
        given = scores >= 0.5
        assert pytest.approx(f1_score(truth, given, average="macro")) == found["macro_f1_own_thresholds"][r]
        flat = matthews_corrcoef(truth.ravel(), given.ravel())
        assert pytest.approx(flat) == found["mcc_micro_own_thresholds"][r]
        given = scores >= 0.51
        assert pytest.approx(f1_score(truth, given, average="macro")) == found["macro_f1_at_0.51"][r]
        of_labels = [(truth[:, k], given[:, k]) for k in range(3)]
        assert pytest.approx(np.mean([matthews_corrcoef(*two) for two in of_labels])) == found["mcc_macro_at_0.51"][r]
        assert pytest.approx(np.mean([roc_auc_score(*two) for two in of_labels])) == found["auc_binarised_at_0.51"][r]


def test_resamples_are_ranked_some_at_a_time_with_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many texts, all resamples at once would take gigabytes."""
    drawn_RN = resample(300, resamples=7)
    at_once = compute_draws(GOOD_NK, TARGETS_NK, CUTS, drawn_RN)
    for few in (1, 900):  # one by one, and in parts of different sizes
        monkeypatch.setattr("emotag_training.evaluation.intervals.AT_ONCE", few)
        for name, values_R in compute_draws(GOOD_NK, TARGETS_NK, CUTS, drawn_RN).items():
            assert np.array_equal(at_once[name], values_R), name


def test_intervals_hold_the_figure_and_are_the_same_each_time() -> None:
    found = compute_intervals(GOOD_NK, TARGETS_NK, CUTS)
    low, high = found["roc_auc"]
    assert low < roc_auc_score(TARGETS_NK, GOOD_NK) < high
    assert found == compute_intervals(GOOD_NK, TARGETS_NK, CUTS)
    assert 3 == len(found["f1"])


def test_a_model_is_no_better_than_itself() -> None:
    for found in compute_differences((GOOD_NK, GOOD_NK), (CUTS, CUTS), TARGETS_NK).values():
        assert (0, [0, 0], 1, False) == (found["difference"], found["interval"], found["p"], found["shown"])


def test_a_better_model_is_found_whichever_side_it_stands_on() -> None:
    ahead = compute_differences((BAD_NK, GOOD_NK), (CUTS, CUTS), TARGETS_NK)
    behind = compute_differences((GOOD_NK, BAD_NK), (CUTS, CUTS), TARGETS_NK)
    for name, found in ahead.items():
        assert found["shown"], name
        assert found["p"] < 0.01 < found["interval"][0]
        assert -found["difference"] == behind[name]["difference"]


def test_a_figure_that_is_undefined_has_no_interval_and_no_difference() -> None:
    nothing_NK = np.zeros_like(TARGETS_NK)
    assert compute_intervals(GOOD_NK, nothing_NK, CUTS)["roc_auc"] is None
    assert "roc_auc" not in compute_differences((GOOD_NK, BAD_NK), (CUTS, CUTS), nothing_NK)
