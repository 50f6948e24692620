"""The work of a forward is counted by kind, without padding."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.engine.work import count_work
from emotag_model import artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN

CONFIG = ModelConfig(64, 40, 32, 2, 4, 64, labels=("a", "b", "c"), max_tokens=32, channels=16)


@pytest.mark.parametrize("lengths", [[7], [3, 11, 30]])
def test_the_counted_operations_of_a_forward_equal_the_count_of_torch(lengths: list[int]) -> None:
    """Torch runs text by text, so without padding."""
    model = DistilBertCNN(CONFIG).eval()
    counted = 0
    for length in lengths:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(torch.ones(1, length, dtype=torch.int64), torch.ones(1, length, dtype=torch.bool))
        counted += counter.get_total_flops()
    assert counted == count_work(CONFIG, lengths).flops


def test_the_shipped_model_needs_22_million_operations_per_token() -> None:
    config = artifact.load(artifact.DEFAULT).config
    assert pytest.approx(21.7e6, rel=0.01) == count_work(config, [1] * 100).flops / 100


def test_attention_grows_with_the_square_of_the_length_and_the_rest_does_not() -> None:
    short, long = count_work(CONFIG, [8]), count_work(CONFIG, [16])
    assert 4 * short.attention == long.attention
    assert long.products < 2.01 * short.products
    assert short.moved_bytes < long.moved_bytes < 4 * short.moved_bytes


def test_the_average_text_has_its_share_of_the_work() -> None:
    work = count_work(CONFIG, [8, 8])
    assert count_work(CONFIG, [8]) == work.divide(2)
