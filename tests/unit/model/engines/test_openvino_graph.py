"""The packed forward as an OpenVINO graph."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines.openvino_graph import WORDS, build, feed, read_embeddings
from emotag_model.engines.packing import pack


def test_embeddings_are_kept_in_half_the_memory_only_if_that_is_exact() -> None:
    exact, finer, larger = np.float32(0.5), np.float32(1 / 3), np.float32(1e6)
    for value, dtype in ((exact, np.float16), (finer, np.float32), (larger, np.float32)):
        words_VC = read_embeddings({WORDS: np.full((2, 3), value, np.float32)})
        assert dtype == words_VC.dtype
        assert (value == words_VC).all()


def test_the_graph_takes_the_inputs_that_feed_returns(tiny_artifact: Callable[[], Artifact]) -> None:
    """In the same order, with the same ranks."""
    made = tiny_artifact()
    inputs = feed(pack([[2, 5, 3], [2, 6, 7, 3]]), made.config, read_embeddings(made.weights))
    parameters = build(made.config, made.weights).inputs
    assert [value.ndim for value in inputs] == [len(parameter.partial_shape) for parameter in parameters]


def test_a_precision_without_a_kernel_is_an_error(tiny_artifact: Callable[[], Artifact]) -> None:
    made = tiny_artifact()
    with pytest.raises(KeyError, match="fp16"):
        build(made.config, made.weights, precision="fp16")


def test_importing_openvino_reports_nothing_to_its_makers() -> None:
    """No telemetry module is loaded, and no thread is started."""
    program = (
        "import sys, threading\n"
        "from emotag_model.engines import openvino_graph\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert 1 == threading.active_count()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
