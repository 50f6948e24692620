"""OpenVINO, float32: one request on all cores or one request on each core, whichever is faster here."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from . import Competitor, Setting
from .batches import Forwards, Logits, choose_fastest
from .exports import Exports

NAME = "OpenVINO, float32"


def build(setting: Setting) -> Competitor:
    """Return the model as OpenVINO converts it."""
    return choose_fastest(NAME, compile_configurations(export(setting.exports), setting.cores), setting)


def export(exports: Exports) -> Path:
    """Return the path of the converted graph: ids and mask in, logits out."""
    return exports.make_once(f"openvino-{version('openvino')}", lambda folder: _convert(exports, folder)) / "model.xml"


def compile_configurations(path: Path, cores: int) -> dict[str, Forwards]:
    """Compile the graph at *path* with each of OpenVINO's two hints; parts that are not quantized stay in float32."""
    return {
        "throughput hint": _compile(path, cores, hint="THROUGHPUT"),
        "latency hint": _compile(path, cores, hint="LATENCY"),
    }


def _compile(path: Path, cores: int, *, hint: str) -> Forwards:
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
    converted = openvino.convert_model(exports.build_model(), example_input=example)
    openvino.save_model(converted, folder / "model.xml", compress_to_fp16=False)
