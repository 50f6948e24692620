"""The model by OpenVINO."""

from collections.abc import Callable

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import openvino_engine
from emotag_model.engines.openvino_engine import ROUND_TOKENS, OpenVinoEngine, is_exact
from emotag_model.errors import DeviceUnknown


@pytest.mark.parametrize(
    ("instructions", "exact"),
    [(["avx2"], False), (["avx512f", "avx2"], False), (["avx_vnni"], True), (["avx512_vnni", "avx2"], True)],
)
def test_int8_needs_an_instruction_that_cuts_off_no_sum(
    instructions: list[str], exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "list_instructions", lambda: instructions)
    assert exact is is_exact("int8")
    assert is_exact("fp32")
    assert not is_exact("fp16")


def test_a_precision_that_the_processor_lacks_is_refused(
    tiny_artifact: Callable[[], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "list_instructions", lambda: ["avx2"])
    with pytest.raises(DeviceUnknown, match="'int8' is not available on this processor with openvino; use auto"):
        OpenVinoEngine(tiny_artifact(), precision="int8")


def test_computed_tokens_include_the_filling(tiny_artifact: Callable[[], Artifact]) -> None:
    engine = OpenVinoEngine(tiny_artifact(), precision="fp32")
    assert (1, 3) == engine.probabilities([[2, 5, 3]]).shape
    assert ROUND_TOKENS == engine.computed_tokens


def test_the_error_of_a_batch_is_raised_and_the_engine_continues(tiny_artifact: Callable[[], Artifact]) -> None:
    engine = OpenVinoEngine(tiny_artifact(), precision="fp32")
    with pytest.raises(IndexError):
        engine.probabilities([[2, 5, 3], [2, 10**6, 3]])  # no token has this id
    assert np.isfinite(engine.probabilities([[2, 5, 3]])).all()
