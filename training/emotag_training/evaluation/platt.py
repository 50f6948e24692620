"""Platt scaling: logit' = scale × logit + shift, one pair for each label, fitted on labelled texts.

Afterwards three in ten of the texts with a probability of 0.3 have the label (Platt 1999, "Probabilistic Outputs for
Support Vector Machines"). The model's last layer is linear, so a pair is a rescaled row of that layer: `fold_platt`
writes it into the weights, and every engine that serves them is calibrated at no cost.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.weights import Array

PRIOR = 1.0
"""For probabilities that people read: a label without positives keeps those that it has."""
LEVEL_PRIOR = 0.01
"""For thresholds: they must not depend on the level of the scores, so the prior only keeps the pair finite."""

Pairs = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.floating[Any]]


def fit_platt(
    probabilities_NK: Probabilities, targets_NK: Probabilities, *, prior: float = PRIOR
) -> tuple[Pairs, Pairs]:
    """Return scale and shift of each label's logit, each [K], with the highest likelihood on these rows.

    A prior holds them at 1 and 0, so that they are finite for a label that is perfectly separated or has no positives.
    A label whose scale would be negative is left as it is.

    Args:
        prior: weight of the uncalibrated model, in rows.
    """
    logits_NK = compute_logits(probabilities_NK)
    fitted = [
        _fit_label(logits_NK[:, k], targets_NK[:, k].astype(np.float64), prior) for k in range(logits_NK.shape[1])
    ]
    scale_K, shift_K = np.array(fitted).T
    upright_K = scale_K > 0
    return np.where(upright_K, scale_K, 1.0), np.where(upright_K, shift_K, 0.0)


def compute_logits(probabilities_NK: Probabilities) -> Pairs:
    """Return the logits of probabilities, in float64."""
    clipped_NK = np.clip(probabilities_NK.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(clipped_NK) - np.log1p(-clipped_NK)


def apply_platt(probabilities_NK: Probabilities, scale_K: Pairs, shift_K: Pairs) -> Pairs:
    """Return the probabilities that the folded weights give, in float64: rounded, different scores could be equal."""
    return _compute_sigmoid(compute_logits(probabilities_NK) * scale_K + shift_K)


def invert_platt(calibrated_NK: Probabilities, scale_K: Pairs, shift_K: Pairs) -> Pairs:
    """Return the model's own probabilities that `apply_platt` turns into *calibrated_NK*."""
    return _compute_sigmoid((compute_logits(calibrated_NK) - shift_K) / scale_K)


def fold_platt(weights: Mapping[str, Array], scale_K: Pairs, shift_K: Pairs) -> dict[str, Array]:
    """Return *weights* whose logits are scale × logit + shift; only the classifier changes."""
    return {
        **weights,
        "classifier.weight": (weights["classifier.weight"] * scale_K[:, None]).astype(np.float32),
        "classifier.bias": (weights["classifier.bias"] * scale_K + shift_K).astype(np.float32),
    }


def _fit_label(logits_N: Pairs, targets_N: Pairs, prior: float) -> tuple[float, float]:
    """Newton's method on the log-likelihood, which is convex. Each step is halved until the loss decreases."""
    rows_N2 = np.stack([logits_N, np.ones_like(logits_N)], axis=1)
    prior_2 = np.array([1.0, 0.0])

    def compute_loss(pair_2: Pairs) -> float:
        scores_N = rows_N2 @ pair_2
        likelihood = (np.logaddexp(0, scores_N) - targets_N * scores_N).sum()
        return float(likelihood + prior / 2 * ((pair_2 - prior_2) ** 2).sum())

    pair_2, loss = prior_2, compute_loss(prior_2)
    for _ in range(50):
        expected_N = _compute_sigmoid(rows_N2 @ pair_2)
        slope_2 = rows_N2.T @ (expected_N - targets_N) + prior * (pair_2 - prior_2)
        curve_22 = (rows_N2 * (expected_N * (1 - expected_N))[:, None]).T @ rows_N2 + prior * np.eye(2)
        step_2 = np.linalg.solve(curve_22, slope_2)
        while (next_loss := compute_loss(pair_2 - step_2)) > loss and abs(step_2).max() > 1e-9:
            step_2 = step_2 / 2
        if abs(step_2).max() <= 1e-9:
            break
        pair_2, loss = pair_2 - step_2, next_loss
    return float(pair_2[0]), float(pair_2[1])


def _compute_sigmoid(values: Pairs) -> Pairs:
    result: Pairs = 0.5 * (1 + np.tanh(values / 2))  # never overflows
    return result
