"""The work of a forward is counted correctly, and the roofline is the rate of the fastest library."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.engine import roofline
from emotag_model import artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN


@pytest.mark.parametrize("lengths", [[7], [3, 11, 30]])
def test_the_counted_work_of_a_forward_equals_the_count_of_torch(lengths: list[int]) -> None:
    """Torch runs text by text, so without padding."""
    config = ModelConfig(64, 40, 32, 2, 4, 64, labels=("a", "b", "c"), max_tokens=32, channels=16)
    model = DistilBertCNN(config).eval()
    counted = 0
    for length in lengths:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(torch.ones(1, length, dtype=torch.int64), torch.ones(1, length, dtype=torch.bool))
        counted += counter.get_total_flops()
    assert counted == roofline.count_flops(config, lengths)


def test_the_shipped_model_needs_22_million_operations_per_token() -> None:
    config = artifact.load(artifact.DEFAULT).config
    assert pytest.approx(21.7e6, rel=0.01) == roofline.count_flops(config, [1] * 100) / 100


@pytest.mark.parametrize(
    ("precision", "slow", "expected"), [("fp32", "torch", 3), ("fp32", "openvino", 3), ("int8", "torch", 1)]
)
def test_the_roofline_is_the_rate_of_the_faster_library(
    precision: str, slow: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In int8 only torch multiplies matrices."""
    products = {"torch": 3, "openvino": 3} | {slow: 1}
    monkeypatch.setattr(roofline, "_torch", lambda *_: lambda: products["torch"])
    monkeypatch.setattr(roofline, "_openvino", lambda *_: lambda: products["openvino"])
    monkeypatch.setattr(roofline, "_rate", lambda rows, inner, columns, multiply, *_: multiply())
    assert expected == roofline.measure_fastest_matmul_rate(precision, sizes=[(1, 1, 1)])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_measured_rate_is_plausible(precision: str) -> None:
    assert 1e6 < roofline.measure_fastest_matmul_rate(precision, seconds=0.01, sizes=[(64, 64, 64)]) < 1e15


def test_an_unknown_precision_is_rejected() -> None:
    with pytest.raises(ValueError, match="fp7"):
        roofline.measure_fastest_matmul_rate("fp7", seconds=0.01)
