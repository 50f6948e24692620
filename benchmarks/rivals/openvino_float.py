"""OpenVINO, float32: one request on all cores, or one a core at a time, whichever is faster here."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.exports import Exports

from . import Rival, Setting
from .batches import Forwards, Logits, fastest

NAME = "OpenVINO, float32"


def build(setting: Setting) -> Rival:
    """The model as OpenVINO converts it."""
    return fastest(NAME, configurations(path(setting.exports), setting.cores), setting)


def path(exports: Exports) -> Path:
    """The converted graph: ids and mask in, logits out."""
    return exports.once(f"openvino-{version('openvino')}", lambda folder: _convert(exports, folder)) / "model.xml"


def configurations(path: Path, cores: int) -> dict[str, Forwards]:
    """The graph at *path* with OpenVINO's two hints, in float32 wherever it is not quantised."""
    return {
        "throughput hint": _compiled(path, cores, hint="THROUGHPUT"),
        "latency hint": _compiled(path, cores, hint="LATENCY"),
    }


def _compiled(path: Path, cores: int, *, hint: str) -> Forwards:
    import openvino

    properties = {"PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": cores, "INFERENCE_PRECISION_HINT": "f32"}
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(str(path), "CPU", properties))
    results: dict[int, Logits] = {}
    queue.set_callback(lambda request, number: results.__setitem__(number, request.get_output_tensor().data.copy()))

    def forwards(batches: Any) -> list[Logits]:
        for number, (ids_BL, mask_BL) in enumerate(batches):
            queue.start_async([ids_BL, mask_BL], number)
        queue.wait_all()
        return [results.pop(number) for number in range(len(batches))]

    return forwards


def _convert(exports: Exports, folder: Path) -> None:
    import openvino

    example = (torch.full((2, 16), 100), torch.ones(2, 16, dtype=torch.bool))
    converted = openvino.convert_model(exports.model(), example_input=example)
    openvino.save_model(converted, folder / "model.xml", compress_to_fp16=False)
