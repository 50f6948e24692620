"""Calibration: of the texts with a probability of 0.3, three in ten should have the label.

Platt scaling (Platt 1999, "Probabilistic Outputs for Support Vector Machines"): logit' = scale × logit + shift, one
pair for each label. The last layer of the model is linear, so a pair is a rescaled row of that layer: `fold_platt`
writes it into the weights, and every engine that serves them is calibrated at no cost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.weights import Array

from .metrics import CALIBRATION_BINS, Floats, compute_calibration_errors, split_in_halves

SPLITS = 5
PRIOR = 1.0
"""Weight of the uncalibrated model, in rows: a label without positives keeps its probabilities."""

Pairs = npt.NDArray[np.float64]


def fit_platt(probabilities_NK: Floats, targets_NK: Floats) -> tuple[Pairs, Pairs]:
    """Return scale and shift of each label's logit, each [K], with the highest likelihood on these rows.

    A weak prior holds them at 1 and 0, so that they are finite for a label that is perfectly separated or has no
    positives. A label whose scale would be negative is left as it is.
    """
    logits_NK = compute_logits(probabilities_NK)
    fitted = [_fit_label(logits_NK[:, k], targets_NK[:, k].astype(np.float64)) for k in range(logits_NK.shape[1])]
    scale_K, shift_K = np.array(fitted).T
    upright_K = scale_K > 0
    return np.where(upright_K, scale_K, 1.0), np.where(upright_K, shift_K, 0.0)


def compute_logits(probabilities_NK: Floats) -> Pairs:
    """Return the logits of probabilities, in float64."""
    clipped_NK = np.clip(probabilities_NK.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(clipped_NK) - np.log1p(-clipped_NK)


def apply_platt(probabilities_NK: Floats, scale_K: Pairs, shift_K: Pairs) -> Floats:
    """Return the probabilities that the folded weights give."""
    return _compute_sigmoid(compute_logits(probabilities_NK) * scale_K + shift_K).astype(np.float32)


def fold_platt(weights: Mapping[str, Array], scale_K: Pairs, shift_K: Pairs) -> dict[str, Array]:
    """Return *weights* whose logits are scale × logit + shift; only the classifier changes."""
    return {
        **weights,
        "classifier.weight": (weights["classifier.weight"] * scale_K[:, None]).astype(np.float32),
        "classifier.bias": (weights["classifier.bias"] * scale_K + shift_K).astype(np.float32),
    }


def measure_calibration(probabilities_NK: Floats, targets_NK: Floats, labels: Sequence[str]) -> dict[str, Any]:
    """Return the calibration errors of the model, and those that Platt scaling would leave.

    The latter by repeated 2-fold cross-validation: fitted on one half and measured on the other, both ways.
    """
    after = []
    for half_N in split_in_halves(len(targets_NK), splits=SPLITS):
        calibrated_NK = np.empty_like(probabilities_NK)
        for fitted_N in (half_N, ~half_N):
            pairs = fit_platt(probabilities_NK[fitted_N], targets_NK[fitted_N])
            calibrated_NK[~fitted_N] = apply_platt(probabilities_NK[~fitted_N], *pairs)
        after.append(compute_calibration_errors(calibrated_NK, targets_NK))
    return {
        "bins": CALIBRATION_BINS,
        "as_is": _summarise(compute_calibration_errors(probabilities_NK, targets_NK), labels),
        "platt_cross_validated": _summarise(np.mean(after, axis=0), labels),
    }


def _summarise(errors_K: Pairs, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "mean": round(float(errors_K.mean()), 4),
        "largest": round(float(errors_K.max()), 4),
        "per_label": {label: round(float(error), 4) for label, error in zip(labels, errors_K, strict=True)},
    }


def _fit_label(logits_N: Pairs, targets_N: Pairs) -> tuple[float, float]:
    """Newton's method on the log-likelihood, which is convex. Each step is halved until the loss decreases."""
    rows_N2 = np.stack([logits_N, np.ones_like(logits_N)], axis=1)
    prior_2 = np.array([1.0, 0.0])

    def loss(pair_2: Pairs) -> float:
        scores_N = rows_N2 @ pair_2
        likelihood = (np.logaddexp(0, scores_N) - targets_N * scores_N).sum()
        return float(likelihood + PRIOR / 2 * ((pair_2 - prior_2) ** 2).sum())

    pair_2 = prior_2
    for _ in range(50):
        expected_N = _compute_sigmoid(rows_N2 @ pair_2)
        slope_2 = rows_N2.T @ (expected_N - targets_N) + PRIOR * (pair_2 - prior_2)
        curve_22 = (rows_N2 * (expected_N * (1 - expected_N))[:, None]).T @ rows_N2 + PRIOR * np.eye(2)
        step_2 = np.linalg.solve(curve_22, slope_2)
        while loss(pair_2 - step_2) > loss(pair_2) and abs(step_2).max() > 1e-9:
            step_2 = step_2 / 2
        if abs(step_2).max() <= 1e-9:
            break
        pair_2 = pair_2 - step_2
    return float(pair_2[0]), float(pair_2[1])


def _compute_sigmoid(values: Pairs) -> Pairs:
    result: Pairs = 0.5 * (1 + np.tanh(values / 2))  # never overflows
    return result
