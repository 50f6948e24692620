"""The model as an ONNX graph, as torch writes it; what onnxruntime's two rivals begin with."""

from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.exports import Exports


def path(exports: Exports) -> Path:
    """The graph in float32: `ids` and `mask` in, `logits` out, any number of texts of any length."""
    return exports.once(f"torch-{version('torch')}.onnx", lambda path: _export(exports, path))


def _export(exports: Exports, path: Path) -> None:
    torch.onnx.export(
        exports.model(),
        (torch.full((2, 16), 100), torch.ones(2, 16, dtype=torch.bool)),
        str(path),
        input_names=["ids", "mask"],
        output_names=["logits"],
        dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}, "logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )
