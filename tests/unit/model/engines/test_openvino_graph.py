"""The packed forward as an OpenVINO graph."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines.openvino_graph import MULTIPLY, build, feed
from emotag_model.engines.packing import pack
from emotag_model.engines.precision import PrecisionName
from emotag_model.weights import read_embeddings


def test_the_graph_takes_the_inputs_that_feed_returns(tiny_artifact: Callable[[], Artifact]) -> None:
    """In the same order, with the same ranks."""
    made = tiny_artifact()
    inputs = feed(pack([[2, 5, 3], [2, 6, 7, 3]]), made.config, read_embeddings(made.weights))
    parameters = build(made.config, made.weights).inputs
    assert [value.ndim for value in inputs] == [len(parameter.partial_shape) for parameter in parameters]


@pytest.mark.parametrize("precision", MULTIPLY)
def test_each_layer_norm_has_the_epsilon_of_the_config(
    tiny_artifact: Callable[[], Artifact], precision: PrecisionName
) -> None:
    """In every precision, also if this processor cannot compute it."""
    made = tiny_artifact()
    config = replace(made.config, layer_norm_eps=1e-5)
    nodes = build(config, made.weights, precision=precision).get_ops()
    found = [node.get_attributes()["eps"] for node in nodes if node.get_type_name() == "MVN"]
    assert found == [pytest.approx(1e-5)] * (1 + 2 * config.n_layers)


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
