"""OpenVINO, without its habit of reporting to its makers, from a thread, that it was imported.

Its reporting is a package of its own, `openvino-telemetry`, and OpenVINO does without where that cannot be imported.
"""

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as Python marks what cannot be imported

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["ops", "ov"]
