"""A model's weights as the library reads them: 8-bit integers, arranged for a path."""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.config import ModelConfig
from emotag_model.engines.int8 import LEAST_OF_GELU, quantize_weights
from emotag_model.errors import DeviceUnknown
from emotag_model.weights import Array, read_embeddings

from . import library
from .library import GROUP, ZERO


class Layout:
    """A model in memory for one path. It owns the arrays that the library reads.

    The model's sizes must be multiples of `library.MULTIPLES`: `require_support` checks that.

    Attributes:
        pointer: to the `Model` that the library's functions take.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], path: library.PathStruct) -> None:
        arranged = _Arranger(weights, path.panel)
        words_VC = read_embeddings(weights)
        half = words_VC.dtype == np.float16
        kernel_WC = weights["conv.weight"].transpose(2, 0, 1).reshape(-1, config.dim)
        layers = (library.LayerStruct * config.n_layers)(
            *(arranged.layer(f"encoder.transformer.layer.{number}") for number in range(config.n_layers))
        )
        self._model = library.ModelStruct(
            dim=config.dim,
            hidden=config.hidden_dim,
            heads=config.n_heads,
            layers=config.n_layers,
            words=len(words_VC),
            positions=config.max_position_embeddings,
            channels=config.channels,
            kernel=config.kernel_size,
            labels=len(config.labels),
            norm_epsilon=config.layer_norm_eps,
            words_half=arranged.keep(words_VC, np.float16) if half else None,
            words_single=None if half else arranged.keep(words_VC, np.float32),
            positions_LC=arranged.keep(weights["encoder.embeddings.position_embeddings.weight"], np.float32),
            embedded=arranged.norm("encoder.embeddings.LayerNorm"),
            layer=layers,
            convolution=arranged.linear(kernel_WC, np.zeros(len(kernel_WC), np.float32)),
            convolution_bias=arranged.keep(weights["conv.bias"], np.float32),
            classifier=arranged.keep(weights["classifier.weight"], np.float32),
            classifier_bias=arranged.keep(weights["classifier.bias"], np.float32),
        )
        self.pointer = ctypes.pointer(self._model)
        self._kept = [layers, *arranged.kept]  # what the library points to must not be freed


class _Arranger:
    def __init__(self, weights: Mapping[str, Array], panel: int) -> None:
        self._weights = weights
        self._panel = panel
        self.kept: list[npt.NDArray[Any]] = []

    def layer(self, layer: str) -> library.LayerStruct:
        names = [f"{layer}.attention.{name}_lin" for name in "qkv"]
        qkv_3CC = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        bias_3C = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        return library.LayerStruct(
            qkv=self.linear(qkv_3CC, bias_3C),
            out=self._named(f"{layer}.attention.out_lin"),
            inner=self._named(f"{layer}.ffn.lin1"),
            outer=self._named(f"{layer}.ffn.lin2", least=LEAST_OF_GELU),
            after_attention=self.norm(f"{layer}.sa_layer_norm"),
            after_inner=self.norm(f"{layer}.output_layer_norm"),
        )

    def _named(self, name: str, *, least: float | None = None) -> library.LinearStruct:
        return self.linear(self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], least=least)

    def norm(self, name: str) -> library.NormStruct:
        gain, bias = (self.keep(self._weights[f"{name}.{part}"], np.float32) for part in ("weight", "bias"))
        return library.NormStruct(gain=gain, bias=bias)

    def linear(self, weight_OI: Array, bias_O: Array, *, least: float | None = None) -> library.LinearStruct:
        """Return a linear layer in panels of outputs and groups of inputs; outputs are filled up with zeros.

        Args:
            least: the least value of the inputs, which stands for the integer 0; None: inputs are around zero.
        """
        if not (np.isfinite(weight_OI).all() and np.isfinite(bias_O).all()):
            raise DeviceUnknown("engine native cannot run this model: one of its weights is infinite or not a number")
        integers_OI, step_O1 = quantize_weights(weight_OI)
        step_O, sums_O = step_O1[:, 0], integers_OI.sum(axis=1, dtype=np.int32)
        if least is None:
            zeros_O = ZERO * sums_O
        else:
            zeros_O = np.zeros_like(sums_O)
            bias_O = bias_O + np.float32(least) * step_O * sums_O
        panel = self._panel
        filling = -len(integers_OI) % panel
        filled_OI = np.pad(integers_OI, ((0, filling), (0, 0)))
        outputs, inputs = filled_OI.shape
        arranged = filled_OI.reshape(outputs // panel, panel, inputs // GROUP, GROUP).transpose(0, 2, 1, 3)
        return library.LinearStruct(
            inputs=inputs,
            outputs=outputs,
            weights=self.keep(arranged, np.int8),
            steps=self.keep(np.pad(step_O, (0, filling)), np.float32),
            bias=self.keep(np.pad(bias_O, (0, filling)), np.float32),
            zeros=self.keep(np.pad(zeros_O, (0, filling)), np.int32),
        )

    def keep(self, values: npt.NDArray[Any], dtype: npt.DTypeLike) -> int:
        """Return the address of the values in the library's type; they live as long as this layout."""
        kept = np.ascontiguousarray(values, dtype)
        self.kept.append(kept)
        return int(kept.ctypes.data)
