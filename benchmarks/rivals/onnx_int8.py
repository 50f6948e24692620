"""onnxruntime, int8: weights per channel, activations as they come."""

from importlib.metadata import version
from pathlib import Path

from . import Rival, Setting, onnx_model
from .batches import fastest
from .onnx_float import session

NAME = "onnxruntime, int8"


def build(setting: Setting) -> Rival:
    """The graph, quantised dynamically.

    Without VNNI the products of two full int8 ranges overflow, and onnxruntime's documentation asks for 7-bit weights.
    """
    reduce = not {"avx512_vnni", "avx_vnni"} & set(setting.instructions)
    name = f"onnxruntime-{version('onnxruntime')}-int8{'-reduced' * reduce}.onnx"
    path = setting.exports.once(name, lambda path: _quantise(onnx_model.path(setting.exports), path, reduce=reduce))
    note = f"dynamic, per channel{', 7-bit weights' * reduce}"
    return fastest(NAME, {"": session(path, setting.cores)}, setting, note=note)


def _quantise(source: Path, path: Path, *, reduce: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic, shape_inference

    prepared = path.with_suffix(".prepared")
    try:
        # As its documentation asks for; its inference of symbolic shapes does not get to the end of this graph.
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, path, per_channel=True, reduce_range=reduce, weight_type=QuantType.QInt8)
    finally:
        prepared.unlink(missing_ok=True)
