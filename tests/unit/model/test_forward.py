"""The reference forward over many texts."""

import numpy as np
import pytest
import torch

from emotag_model import forward
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.packing import ROUND_TO
from emotag_model.forward import compute_probabilities, count_padded_tokens, group_by_length, pad_on_device
from emotag_model.tokens import TokenIds
from tests.numerics.conftest import tiny_config

CPU = torch.device("cpu")
TEXTS = [TokenIds((2, *range(5, 5 + length), 3), truncated=False) for length in (31, 1, 7, 7, 20, 2)]


@pytest.mark.parametrize("attention_heads", [0, 4])
def test_results_are_in_the_order_of_the_texts_and_independent_of_the_batch(
    attention_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(attention_heads=attention_heads))
    alone_NK = np.concatenate([compute_probabilities(model, [text], device=CPU) for text in TEXTS])
    for size in (1, 2, 64):
        monkeypatch.setattr(forward, "BATCH_SIZE", size)
        assert np.allclose(alone_NK, compute_probabilities(model, TEXTS, device=CPU), atol=1e-6)
    assert len({row.tobytes() for row in alone_NK.round(6)}) == 5  # two of the six texts are equal


def test_no_texts_give_no_rows() -> None:
    model = DistilBertCNN(tiny_config())
    assert (0, 3) == compute_probabilities(model, [], device=CPU).shape
    assert 0 == count_padded_tokens([], model.config)


def test_texts_of_similar_length_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "BATCH_SIZE", 2)
    assert [[1, 5], [2, 3], [4, 0]] == list(group_by_length(TEXTS))


def test_the_padded_tokens_are_those_of_the_rectangles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest one is limited by the model's positions, here not a multiple of sixteen."""
    monkeypatch.setattr(forward, "BATCH_SIZE", 2)
    config = tiny_config(max_position_embeddings=34)
    rectangles = [
        pad_on_device([TEXTS[row] for row in rows], config, device=CPU, round_to=ROUND_TO)[0].numel()
        for rows in group_by_length(TEXTS)
    ]
    assert sum(rectangles) == count_padded_tokens(TEXTS, config)
    assert (16 + 16) * 2 + 34 * 2 == sum(rectangles)  # widths 16, 16 and 34
