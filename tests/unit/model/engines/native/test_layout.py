"""Weights as the library reads them."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines.int8 import quantize_weights
from emotag_model.engines.native import library
from emotag_model.engines.native.layout import Layout
from emotag_model.errors import DeviceUnknown


def test_weights_lie_in_panels_of_outputs_and_groups_of_inputs(shipped: Artifact) -> None:
    """And outputs that fill the last panel are zero."""
    path = library.PathStruct(panel=64)
    layout = Layout(shipped.config, shipped.weights, path)
    layer = layout.pointer.contents.layer[0].inner
    assert (shipped.config.dim, shipped.config.hidden_dim) == (layer.inputs, layer.outputs)
    count = layer.inputs * layer.outputs
    found = np.ctypeslib.as_array(ctypes.cast(layer.weights, ctypes.POINTER(ctypes.c_int8)), (count,))
    integers_OI, _ = quantize_weights(shipped.weights["encoder.transformer.layer.0.ffn.lin1.weight"])
    panel, output, group, place = 2, 5, 7, 3
    at = ((panel * layer.inputs // library.GROUP + group) * 64 + output) * library.GROUP + place
    assert integers_OI[64 * panel + output, library.GROUP * group + place] == found[at]


def test_a_weight_that_is_not_finite_is_refused_at_the_start(shipped: Artifact) -> None:
    broken = {**shipped.weights, "conv.weight": np.full_like(shipped.weights["conv.weight"], np.inf)}
    with pytest.raises(DeviceUnknown, match="one of its weights is infinite or not a number"):
        Layout(shipped.config, broken, library.PathStruct(panel=16))


def test_embeddings_that_float16_cannot_hold_are_kept_in_float32(shipped: Artifact) -> None:
    name = "encoder.embeddings.word_embeddings.weight"
    finer = {**shipped.weights, name: shipped.weights[name] + np.float32(1e-9)}
    for weights, half in ((shipped.weights, True), (finer, False)):
        model = Layout(shipped.config, replace(shipped, weights=weights).weights, library.PathStruct(panel=16)).pointer
        assert half is bool(model.contents.words_half)
        assert half is not bool(model.contents.words_single)
