"""The packed forward as an OpenVINO graph, built from an artifact's weights: nothing is exported beforehand.

1. The word embeddings, half of a small model, are looked up outside the graph, which would keep them in float32.
2. Linear layers see one row of real tokens.
3. For attention the row is spread to a rectangle with one text per row, and gathered back.
4. The convolution is one matrix multiplication over the row with zeros between the texts, and a sum of shifted parts.
5. The pool is the maximum over the rectangle, whose empty places repeat a token of the same text.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.config import ModelConfig
from emotag_model.weights import Array

from .int8 import LEAST_OF_GELU, LEVELS, TINY, quantize_weights
from .packing import Packed
from .precision import PrecisionName

# On import, OpenVINO sends telemetry from a thread, through the package `openvino-telemetry`. None is Python's mark for
# a module that cannot be imported: OpenVINO then works without telemetry.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["build", "feed", "ops", "ov"]

ROUND_TEXTS = 8
"""The rows of the pool and the classifier are filled up to a multiple of this, for the reason of `ROUND_TOKENS`."""

NEVER = -1e4
"""Added to the attention scores of padding: the exponential of the sum is zero in every precision."""


def feed(batch: Packed, config: ModelConfig, words_VC: npt.NDArray[np.floating]) -> list[npt.NDArray[Any]]:
    """Return the inputs of the graph for a batch, in the order of its parameters."""
    gap = config.kernel_size // 2
    in_spaced_T = batch.in_spaced_T(gap) - gap
    rectangle_BL = batch.rectangle_BL()
    return [
        words_VC[batch.ids_T].astype(np.float32, copy=False),
        batch.positions_T,
        rectangle_BL,
        batch.back_T(),
        np.where(batch.mask_BL(), 0, NEVER).astype(np.float32)[:, None, None, :],
        batch.spaced_S(gap),
        np.pad(in_spaced_T[rectangle_BL], ((0, -len(rectangle_BL) % ROUND_TEXTS), (0, 0)), mode="edge"),
    ]


def build(
    config: ModelConfig, weights: Mapping[str, Array], *, precision: PrecisionName = "fp32", explained: bool = False
) -> ov.Model:
    """Build the graph from packed batches of any shape to probabilities [B, K].

    Rows after the batch's texts have no meaning.

    Args:
        precision: of the encoder's linear layers.
        explained: add two outputs, the values and the positions [B, F] of `reasons.Maxima`.
    """
    return _Graph(config, weights, MULTIPLY[precision]).build(explained=explained)


class _Graph:
    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], multiply: Callable[..., Any]) -> None:
        self._config = config
        self._weights = weights
        self._multiply = multiply

    def build(self, *, explained: bool) -> ov.Model:
        words_TC = ops.parameter([-1, self._config.dim], ov.Type.f32, "words")
        positions_T = ops.parameter([-1], ov.Type.i32, "positions")
        rectangle_BL = ops.parameter([-1, -1], ov.Type.i32, "rectangle")
        back_T = ops.parameter([-1], ov.Type.i32, "back")
        bias_B11L = ops.parameter([-1, 1, 1, -1], ov.Type.f32, "bias")
        spaced_S = ops.parameter([-1], ov.Type.i32, "spaced")
        pooled_BL = ops.parameter([-1, -1], ov.Type.i32, "pooled")

        hidden_TC = self._norm(
            ops.add(
                words_TC,
                _gather(self._constant("encoder.embeddings.position_embeddings.weight"), positions_T),
            ),
            "encoder.embeddings.LayerNorm",
        )
        for number in range(self._config.n_layers):
            layer = f"encoder.transformer.layer.{number}"
            context_TC = self._attention(hidden_TC, layer, rectangle_BL, back_T, bias_B11L)
            attended_TC = self._linear(context_TC, f"{layer}.attention.out_lin")
            hidden_TC = self._norm(ops.add(attended_TC, hidden_TC), f"{layer}.sa_layer_norm")
            inner_TM = ops.gelu(self._linear(hidden_TC, f"{layer}.ffn.lin1"), "erf")
            outer_TC = self._linear(inner_TM, f"{layer}.ffn.lin2", least=LEAST_OF_GELU)
            hidden_TC = self._norm(ops.add(outer_TC, hidden_TC), f"{layer}.output_layer_norm")
        features_BLF = _gather(self._convolution(hidden_TC, spaced_S), pooled_BL)
        pooled_BF = ops.reduce_max(features_BLF, _ints(1), keep_dims=False)
        logits_BK = _multiply(pooled_BF, self._weights["classifier.weight"], self._weights["classifier.bias"])
        probabilities_BK = ops.sigmoid(logits_BK)
        parameters = [words_TC, positions_T, rectangle_BL, back_T, bias_B11L, spaced_S, pooled_BL]
        outputs = [probabilities_BK]
        if explained:
            outputs += [pooled_BF, _find_first(features_BLF, pooled_BF)]
        return ov.Model(outputs, parameters, "emotag")

    def _attention(self, hidden_TC: ov.Node, layer: str, rectangle_BL: ov.Node, back_T: ov.Node, bias: ov.Node) -> Any:
        """Return the attention context of each token, [T, C]."""
        heads, size = self._config.n_heads, self._config.dim // self._config.n_heads
        names = [f"{layer}.attention.{name}_lin" for name in "qkv"]
        weight_3CC = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        bias_3C = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        qkv_T3C = self._multiply(hidden_TC, weight_3CC, bias_3C)
        parts = ops.split(_gather(qkv_T3C, rectangle_BL), _int(2), 3)
        # OpenVINO 2026.4 fuses most of three single transpositions into its attention kernel, but no joint one.
        q, k, v = (
            ops.transpose(ops.reshape(part, _ints(0, 0, heads, size), special_zero=True), _ints(0, 2, 1, 3))
            for part in parts.outputs()
        )
        context_BHLD = ops.scaled_dot_product_attention(q, k, v, bias)
        context_BLHD = ops.transpose(context_BHLD, _ints(0, 2, 1, 3))
        return _gather(ops.reshape(context_BLHD, _ints(-1, self._config.dim), special_zero=False), back_T)

    def _convolution(self, hidden_TC: ov.Node, spaced_S: ov.Node) -> Any:
        """Return the features of every place of the spaced row except the first and last gap, [S - 2 gap, F]."""
        config = self._config
        nothing_1C = _floats(np.zeros((1, config.dim), np.float32))
        spaced_SC = _gather(ops.concat([hidden_TC, nothing_1C], axis=0), spaced_S)
        kernel_WC = self._weights["conv.weight"].transpose(2, 0, 1).reshape(-1, config.dim)
        parts_SW = self._multiply(spaced_SC, kernel_WC, np.zeros(len(kernel_WC), np.float32))
        end, width = config.kernel_size - 1, config.channels
        shifted = [
            ops.slice(
                parts_SW,
                _ints(shift, shift * width),
                _ints(shift - end if shift < end else np.iinfo(np.int64).max, (shift + 1) * width),
                _ints(1, 1),
                _ints(0, 1),
            )
            for shift in range(config.kernel_size)
        ]
        summed = shifted[0]
        for part in shifted[1:]:
            summed = ops.add(summed, part)
        return ops.relu(ops.add(summed, self._constant("conv.bias")))

    def _linear(self, x: ov.Node, name: str, *, least: float | None = None) -> Any:
        return self._multiply(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], least=least)

    def _norm(self, x: ov.Node, name: str) -> Any:
        epsilon = self._config.layer_norm_eps
        normal = ops.mvn(x, _ints(-1), normalize_variance=True, eps=epsilon, eps_mode="inside_sqrt")
        return ops.add(ops.multiply(normal, self._constant(f"{name}.weight")), self._constant(f"{name}.bias"))

    def _constant(self, name: str) -> Any:
        return _floats(self._weights[name])


def _multiply(x_TI: ov.Node, weight_OI: Array, bias_O: Array, *, least: float | None = None) -> Any:
    return ops.add(ops.matmul(x_TI, _floats(weight_OI), False, True), _floats(bias_O))


def _multiply_int8(x_TI: ov.Node, weight_OI: Array, bias_O: Array, *, least: float | None = None) -> Any:
    """Multiply 8-bit integers: each row is divided by its largest value before, and multiplied by it after.

    Args:
        least: a lower bound near zero of all values; None if there is none near zero.
    """
    integers_OI, step_O1 = quantize_weights(weight_OI)
    if least is None:
        largest_T1 = ops.reduce_max(ops.abs(x_TI), _ints(1), keep_dims=True)
        low, levels = -1.0, 2 * LEVELS + 1
    else:
        x_TI = ops.subtract(x_TI, _floats(least))
        largest_T1 = ops.reduce_max(x_TI, _ints(1), keep_dims=True)
        low, levels = 0.0, 2 * LEVELS + 2
        bias_O = bias_O + least * (integers_OI * step_O1).sum(axis=1)
    scale_T1 = ops.maximum(largest_T1, _floats(TINY))
    bounds = [_floats(bound) for bound in (low, 1.0, low, 1.0)]
    quantized_TI = ops.fake_quantize(ops.divide(x_TI, scale_T1), *bounds, levels)
    weights_OI = ops.multiply(ops.convert(ops.constant(integers_OI), "f32"), _floats(step_O1))
    return ops.add(ops.multiply(ops.matmul(quantized_TI, weights_OI, False, True), scale_T1), _floats(bias_O))


def _find_first(features_BLF: ov.Node, pooled_BF: ov.Node) -> Any:
    """Return the first token that has the largest value of each feature, [B, F].

    Empty places of the rectangle repeat the text's first token, and are never the first.
    """
    is_largest_BLF = ops.equal(features_BLF, ops.unsqueeze(pooled_BF, _ints(1)))
    length = ops.gather(ops.shape_of(features_BLF, "i32"), _int(1), _int(0))
    tokens_L1 = ops.unsqueeze(ops.range(_int(0), length, _int(1), "i32"), _ints(1))
    return ops.reduce_min(ops.select(is_largest_BLF, tokens_L1, length), _ints(1), keep_dims=False)


MULTIPLY: Mapping[PrecisionName, Callable[..., Any]] = {
    "fp32": _multiply,
    "bf16": _multiply,  # OpenVINO rounds by itself: see `openvino_engine.HINTS`
    "int8": _multiply_int8,
}
"""The multiplication of the encoder's linear layers and of the convolution."""


def _gather(table: ov.Node, indices: ov.Node) -> Any:
    return ops.gather(table, indices, _int(0))


def _floats(values: Array | float) -> Any:
    return ops.constant(np.ascontiguousarray(values), ov.Type.f32)


def _ints(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def _int(value: int) -> Any:
    return ops.constant(np.int32(value))
