"""Calibration: of the texts with a probability of 0.3, three in ten should have the label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import CALIBRATION_BINS, Floats, compute_calibration_errors, split_in_halves
from .platt import apply_platt, fit_platt

SPLITS = 5


def measure_calibration(probabilities_NK: Floats, targets_NK: Floats, labels: Sequence[str]) -> dict[str, Any]:
    """Return the calibration errors of the model, and those that Platt scaling would leave.

    The latter by repeated 2-fold cross-validation: fitted on one half and measured on the other, both ways.
    """
    after = []
    for half_N in split_in_halves(len(targets_NK), splits=SPLITS):
        calibrated_NK = np.empty(probabilities_NK.shape)
        for fitted_N in (half_N, ~half_N):
            pairs = fit_platt(probabilities_NK[fitted_N], targets_NK[fitted_N])
            calibrated_NK[~fitted_N] = apply_platt(probabilities_NK[~fitted_N], *pairs)
        after.append(compute_calibration_errors(calibrated_NK, targets_NK))
    return {
        "bins": CALIBRATION_BINS,
        "as_is": _summarise(compute_calibration_errors(probabilities_NK, targets_NK), labels),
        "platt_cross_validated": _summarise(np.mean(after, axis=0), labels),
    }


def _summarise(errors_K: npt.NDArray[np.float64], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "mean": round(float(errors_K.mean()), 4),
        "largest": round(float(errors_K.max()), 4),
        "per_label": {label: round(float(error), 4) for label, error in zip(labels, errors_K, strict=True)},
    }
