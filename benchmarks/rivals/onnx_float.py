"""onnxruntime, float32: the graph as exported, all of its optimisations."""

from pathlib import Path

from . import Rival, Setting, onnx_model
from .batches import Forwards, Ids, Logits, Mask, fastest, one_by_one

NAME = "onnxruntime, float32"


def build(setting: Setting) -> Rival:
    """A session on the CPU."""
    return fastest(NAME, {"": session(onnx_model.path(setting.exports), setting.cores)}, setting)


def session(path: Path, cores: int) -> Forwards:
    """The graph at *path*, on *cores* threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = cores
    running = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        logits_BK: Logits = running.run(["logits"], {"ids": ids_BL, "mask": mask_BL})[0]
        return logits_BK

    return one_by_one(forward)
