"""Linear layers in 8-bit integers: one scale for each output of the weights, and one for each token's activations.

No text's result depends on another text, and nothing needs calibration. Scales for each token: ZeroQuant, Yao et al.
2022 (arXiv:2206.01861). Training measures the loss of quality on labelled texts when it tunes thresholds, and writes it
to the artifact's metrics; `auto` takes int8 only if that loss is small (`precision.is_tolerable`).
"""

import numpy as np
import numpy.typing as npt

from emotag_model.weights import Array

LEVELS = 127
"""Integers are from -127 to 127; if no value is below zero, from 0 to 255."""

LEAST_OF_GELU = -0.17
"""No output of a GELU is below this, so after a GELU 8 bits need no sign and resolve twice as much."""

TINY = 1e-6
"""The largest value that is assumed for a row of zeros."""


def quantize_weights(weight_OI: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Return the weights as integers, and the step of each output, [O, 1].

    Two neighboring weights (of inputs 0 and 1, 2 and 3, and so on) are at most 128 together, regardless of their signs.
    So their products with activations of 8 bits always fit into 16 bits, in which AVX2 adds them, and AVX2 computes the
    same sums as VNNI.
    """
    magnitude_OI = np.abs(weight_OI)
    pairs_OP = magnitude_OI[:, ::2].copy()
    pairs_OP[:, : weight_OI.shape[1] // 2] += magnitude_OI[:, 1::2]
    step_O1 = np.maximum(pairs_OP.max(axis=1, keepdims=True), TINY) / LEVELS  # rounding adds 1 to a pair at most
    return np.rint(weight_OI / step_O1).astype(np.int8), step_O1.astype(np.float32)
