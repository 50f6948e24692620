"""onnxruntime, int8: weights quantized per channel, activations dynamically; all graph optimizations."""

from importlib.metadata import version
from pathlib import Path

import torch

from . import Competitor, Setting
from .batches import Forward, Ids, Logits, Mask, choose_fastest, one_by_one, side_by_side
from .exports import Exports

NAME = "onnxruntime, int8"


def build(setting: Setting) -> Competitor:
    """Return the dynamically quantized graph, with one batch on all cores or with one batch on each core.

    Without VNNI, products of two full int8 ranges overflow: onnxruntime's documentation requires 7-bit weights.
    """
    reduce = not {"avx512_vnni", "avx_vnni"} & set(setting.instructions)
    name = f"onnxruntime-{version('onnxruntime')}-int8{'-reduced' * reduce}.onnx"
    path = setting.exports.make_once(name, lambda path: _quantize(setting.exports, path, reduce=reduce))
    note = f"dynamic, per channel{', 7-bit weights' * reduce}"
    configurations = {
        "one batch at a time": one_by_one(_open_session(path, threads=setting.cores)),
        f"{setting.cores} batches at a time": side_by_side(_open_session(path, threads=1), at_a_time=setting.cores),
    }
    return choose_fastest(NAME, configurations, setting, note=note)


def _quantize(exports: Exports, path: Path, *, reduce: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic, shape_inference

    source = exports.make_once(f"torch-{version('torch')}.onnx", lambda path: _export(exports, path))
    prepared = path.with_suffix(".prepared")
    try:
        # onnxruntime's documentation requires this step; its symbolic shape inference fails on this graph.
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, path, per_channel=True, reduce_range=reduce, weight_type=QuantType.QInt8)
    finally:
        prepared.unlink(missing_ok=True)


def _export(exports: Exports, path: Path) -> None:
    """Write the float32 graph: `ids` and `mask` in, `logits` out, any number of texts of any length."""
    torch.onnx.export(
        exports.build_model(),
        (torch.full((2, 16), 100), torch.ones(2, 16, dtype=torch.bool)),
        str(path),
        input_names=["ids", "mask"],
        output_names=["logits"],
        dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}, "logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )


def _open_session(path: Path, *, threads: int) -> Forward:
    """Return a session's forward pass. With one thread, it computes in the thread of its caller."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    running = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        logits_BK: Logits = running.run(["logits"], {"ids": ids_BL, "mask": mask_BL})[0]
        return logits_BK

    return forward
