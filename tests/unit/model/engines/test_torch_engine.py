"""The model by torch on a CPU."""

from collections.abc import Callable

import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines.torch_engine import TorchEngine
from emotag_model.errors import DeviceUnknown


@pytest.mark.parametrize(("precision", "tokens"), [("fp32", 16), ("bf16", 64), ("int8", 16)])
def test_computed_tokens_include_the_filling(
    tiny_artifact: Callable[[], Artifact],
    precision: str,
    tokens: int,
) -> None:
    """A low precision fills the row up, since its kernels are compiled per shape."""
    engine = TorchEngine(tiny_artifact(), device="cpu", precision=precision)  # type: ignore[arg-type]
    assert (1, 3) == engine.probabilities([[2, 5, 3]]).shape
    assert tokens == engine.computed_tokens


def test_no_texts_give_no_rows(tiny_artifact: Callable[[], Artifact]) -> None:
    assert (0, 3) == TorchEngine(tiny_artifact(), device="cpu", precision="fp32").probabilities([]).shape


def test_int8_is_imitated_on_a_cpu_only(tiny_artifact: Callable[[], Artifact]) -> None:
    with pytest.raises(DeviceUnknown, match="'int8' is not available on cuda with torch; use auto, fp32"):
        TorchEngine(tiny_artifact(), device="cuda", precision="int8")
