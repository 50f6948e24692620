"""Calibration errors, and those that Platt scaling would leave."""

import numpy as np

from emotag_training.evaluation.calibration import measure_calibration
from emotag_training.evaluation.metrics import compute_calibration_errors
from emotag_training.evaluation.platt import apply_platt

RNG = np.random.default_rng(2)
TRUE_NK = (0.02 + 0.96 * RNG.random((6000, 2)) ** 2).astype(np.float32)
TARGETS_NK = (RNG.random((6000, 2)) < TRUE_NK).astype(np.float32)
UNTRUE_NK = apply_platt(TRUE_NK, np.array([2.0, 0.5]), np.array([0.5, -1.0])).astype(np.float32)


def test_a_promise_that_is_kept_has_hardly_an_error() -> None:
    assert (compute_calibration_errors(TRUE_NK, TARGETS_NK) < 0.03).all()
    assert (compute_calibration_errors(UNTRUE_NK, TARGETS_NK) > 0.05).all()


def test_the_errors_that_scaling_would_leave_are_small() -> None:
    found = measure_calibration(UNTRUE_NK, TARGETS_NK, ("a", "b"))
    assert found["platt_cross_validated"]["largest"] < 0.03 < found["as_is"]["largest"]
