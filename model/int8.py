"""Linear layers in 8-bit integers: a scale for each output of the weights, and one for each token of the activations.

A text's result depends on no other's, and there is nothing to calibrate. Scales for each token: ZeroQuant, Yao et al.
2022 (arXiv:2206.01861). What it costs is measured on labelled texts when thresholds are tuned, and stands in the
artifact's metrics; `auto` takes int8 only where that is next to nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .weights import Array

LEVELS = 127
"""Integers run from -127 to 127; where no value is below zero, from 0 to 255."""

LEAST_OF_GELU = -0.17
"""No output of a GELU is below this, so behind one 8 bits need no sign and resolve twice as much."""

TINY = 1e-6
"""Stands for the largest value of a row that is zero."""

TOLERATED_LOSS = 0.002
"""Most macro F1 that int8 may cost."""


def integers(weight_OI: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """The weights as integers, and the step of each output, [O, 1]."""
    step_O1 = np.maximum(np.abs(weight_OI).max(axis=1, keepdims=True), TINY) / LEVELS
    return np.rint(weight_OI / step_O1).astype(np.int8), step_O1.astype(np.float32)


def tolerable(metrics: Mapping[str, Any]) -> bool:
    """Whether an artifact's metrics say what int8 costs, and that it is little enough."""
    try:
        return float(metrics["dev"]["int8"]["macro_f1_loss"]) < TOLERATED_LOSS
    except (KeyError, TypeError, ValueError):
        return False
