"""Weights in 8-bit integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emotag_model.engines.int8 import LEVELS, quantize_weights
from emotag_model.weights import Array

WEIGHTS = arrays.arrays(np.float32, (3, 4), elements=st.floats(-8, 8, width=32))


@given(WEIGHTS)
def test_integers_times_steps_are_the_weights_to_half_a_step(weight_OI: Array) -> None:
    integers_OI, step_O1 = quantize_weights(weight_OI)
    assert np.int8 == integers_OI.dtype
    assert ((3, 4), (3, 1)) == (integers_OI.shape, step_O1.shape)
    assert np.abs(integers_OI.astype(int)).max() <= LEVELS
    assert (np.abs(integers_OI * step_O1 - weight_OI) <= step_O1 * 0.501).all()


@given(arrays.arrays(np.float32, (2, 5), elements=st.floats(-8, 8, width=32)))
def test_two_neighbors_times_activations_of_8_bits_fit_into_16_bits(weight_OI: Array) -> None:
    """So AVX2 loses nothing; the last of an odd number of weights has no neighbor."""
    magnitude_OI = np.abs(quantize_weights(weight_OI)[0].astype(int))
    for pair in (slice(0, 2), slice(2, 4), slice(4, 5)):
        assert (255 * magnitude_OI[:, pair].sum(axis=1)).max() <= 2**15 - 1


def test_each_output_has_its_own_step() -> None:
    _, step_O1 = quantize_weights(np.array([[1.27, 0.0], [0.0, 12.7], [0.0, 0.0]], np.float32))
    assert np.allclose([[0.01], [0.1]], step_O1[:2])
    assert 0 < step_O1[2, 0] < 1e-6  # a row of zeros must not be divided by zero
