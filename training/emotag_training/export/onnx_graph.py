"""The reference forward as an ONNX graph, written node by node: `distilbert_cnn.py` in another language.

    ids, mask → encoder → Conv → ReLU → max over the real tokens → linear → logits

The graph is written rather than traced: see docs/decisions/0012. Tests compare its output with the reference, and so
does `onnx_folder` at every export. Weights keep their names in the artifact. Matrices are transposed, because ONNX
multiplies with the inputs first.
"""

import math
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig

OPSET = 17
"""The first opset with LayerNormalization; every onnxruntime since 1.12 (2022) reads it."""
IR_VERSION = 8
"""The IR version of that time: the onnx package would write its newest, which older runtimes reject."""
MASKED = float(np.finfo(np.float32).min)
"""The attention score of padding. Not minus infinity: some runtimes make NaN of its differences."""


def build_graph(trained: Artifact) -> ModelProto:
    """Return the model in float32: `ids` [texts, tokens] int64 and `mask` [texts, tokens] bool in, `logits` out.

    The graph takes any number of texts, and of tokens up to the config's `max_position_embeddings`. The mask is true on
    real tokens; each text needs at least one.
    """
    nodes = _Nodes()
    for name, values in sorted(trained.weights.items()):  # they come out of the file in any order
        matrix = values.ndim == 2 and "embeddings" not in name
        nodes.add_constant(name, values.T if matrix else values)
    logits_BK = _add_head(nodes, trained.config, _add_encoder(nodes, trained.config))
    nodes.add("Identity", logits_BK, output="logits")
    made = helper.make_model(
        _wrap_nodes(nodes, len(trained.config.labels)),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="emotag",
        producer_version=version("emotag"),
    )
    helper.set_model_props(made, {"name": trained.name, "artifact_version": trained.version})
    return made


class _Nodes:
    """Nodes and constants in the order they are added; every value has a name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The name of what a node of this kind makes of its inputs."""
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def add_constant(self, name: str, values: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """*values* under a name, once."""
        if name not in self.constants:
            array = np.ascontiguousarray(np.asarray(values, dtype=dtype).reshape(np.shape(values)))
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def add_whole(self, *values: int) -> str:
        """A list of whole numbers, as shapes and axes are."""
        return self.add_constant(f"whole_{'_'.join(map(str, values))}", values, np.int64)

    def add_number(self, value: float) -> str:
        """One number."""
        return self.add_constant(f"number_{value!r}", value)

    def add_linear(self, name: str, x: str) -> str:
        """x W + b, by the layer's name."""
        return self.add("Add", self.add("MatMul", x, f"{name}.weight"), f"{name}.bias")

    def add_layer_norm(self, name: str, x: str, *, epsilon: float) -> str:
        """Over the last axis, by the layer's name."""
        return self.add("LayerNormalization", x, f"{name}.weight", f"{name}.bias", axis=-1, epsilon=epsilon)


def _add_encoder(nodes: _Nodes, config: ModelConfig) -> str:
    """hidden_BLC of `ids` and `mask`."""
    words, positions = (f"encoder.embeddings.{kind}_embeddings.weight" for kind in ("word", "position"))
    norm = partial(nodes.add_layer_norm, epsilon=config.layer_norm_eps)
    length = nodes.add("Slice", nodes.add("Shape", "ids"), nodes.add_whole(1), nodes.add_whole(2))
    position_LC = nodes.add("Slice", positions, nodes.add_whole(0), length, nodes.add_whole(0))
    embedded_BLC = nodes.add("Add", nodes.add("Gather", words, "ids"), position_LC)
    hidden_BLC = norm("encoder.embeddings.LayerNorm", embedded_BLC)
    attend_B11L = nodes.add("Unsqueeze", "mask", nodes.add_whole(1, 2))
    for layer in (f"encoder.transformer.layer.{number}" for number in range(config.n_layers)):
        context_BLC = _add_attention(nodes, config, f"{layer}.attention", hidden_BLC, attend_B11L)
        hidden_BLC = norm(f"{layer}.sa_layer_norm", nodes.add("Add", context_BLC, hidden_BLC))
        wide_BLH = _add_gelu(nodes, nodes.add_linear(f"{layer}.ffn.lin1", hidden_BLC))
        fed_BLC = nodes.add_linear(f"{layer}.ffn.lin2", wide_BLH)
        hidden_BLC = norm(f"{layer}.output_layer_norm", nodes.add("Add", fed_BLC, hidden_BLC))
    return hidden_BLC


def _add_attention(nodes: _Nodes, config: ModelConfig, name: str, hidden_BLC: str, attend_B11L: str) -> str:
    """Multi-head self-attention within each text; nothing attends to padding."""
    width = config.dim // config.n_heads

    def split_heads(layer: str, axes: Sequence[int]) -> str:
        split = nodes.add(
            "Reshape", nodes.add_linear(f"{name}.{layer}", hidden_BLC), nodes.add_whole(0, 0, config.n_heads, width)
        )
        return nodes.add("Transpose", split, perm=axes)

    query_BHLD, key_BHDL = split_heads("q_lin", (0, 2, 1, 3)), split_heads("k_lin", (0, 2, 3, 1))
    score_BHLL = nodes.add("Mul", nodes.add("MatMul", query_BHLD, key_BHDL), nodes.add_number(1 / math.sqrt(width)))
    masked_BHLL = nodes.add("Where", attend_B11L, score_BHLL, nodes.add_number(MASKED))
    share_BHLL = nodes.add("Softmax", masked_BHLL, axis=-1)
    context_BHLD = nodes.add("MatMul", share_BHLL, split_heads("v_lin", (0, 2, 1, 3)))
    context_BLHD = nodes.add("Transpose", context_BHLD, perm=(0, 2, 1, 3))
    return nodes.add_linear(f"{name}.out_lin", nodes.add("Reshape", context_BLHD, nodes.add_whole(0, 0, config.dim)))


def _add_gelu(nodes: _Nodes, x: str) -> str:
    """The exact one, in the form that runtimes know and fuse."""
    erf = nodes.add("Erf", nodes.add("Div", x, nodes.add_number(math.sqrt(2))))
    return nodes.add("Mul", nodes.add("Mul", x, nodes.add("Add", erf, nodes.add_number(1.0))), nodes.add_number(0.5))


def _add_head(nodes: _Nodes, config: ModelConfig, hidden_BLC: str) -> str:
    """logits_BK: padding is zero to the convolution and absent from the maximum, as in the reference."""
    real_BL = nodes.add("Cast", "mask", to=TensorProto.FLOAT)
    clean_BLC = nodes.add("Mul", hidden_BLC, nodes.add("Unsqueeze", real_BL, nodes.add_whole(2)))
    clean_BCL = nodes.add("Transpose", clean_BLC, perm=(0, 2, 1))
    reach = config.kernel_size // 2
    features_BFL = nodes.add("Relu", nodes.add("Conv", clean_BCL, "conv.weight", "conv.bias", pads=(reach, reach)))
    real_BFL = nodes.add("Mul", features_BFL, nodes.add("Unsqueeze", real_BL, nodes.add_whole(1)))
    pooled_BF = nodes.add("ReduceMax", real_BFL, axes=(2,), keepdims=0)
    return nodes.add_linear("classifier", pooled_BF)


def _wrap_nodes(nodes: _Nodes, labels: int) -> GraphProto:
    rectangle = ("texts", "tokens")
    return helper.make_graph(
        nodes.nodes,
        "DistilBertCNN",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, rectangle),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, rectangle),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("texts", labels))],
        initializer=list(nodes.constants.values()),
    )
