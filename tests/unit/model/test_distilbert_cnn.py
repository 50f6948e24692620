"""The reference network: padding never changes a result, and attention in its head is an option."""

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emotag_model.distilbert_cnn import DistilBertCNN
from tests.numerics.conftest import tiny_config


@pytest.fixture(scope="module", params=[0, 4], ids=["no_attention", "attention"])
def tiny(request: pytest.FixtureRequest) -> DistilBertCNN:
    """A random model, without and with attention in its head."""
    torch.manual_seed(0)
    return DistilBertCNN(tiny_config(attention_heads=request.param)).eval()


@hypothesis.settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), extra=st.integers(0, 9), fill=st.integers(0, 63))
def test_padding_never_changes_a_result(tiny: DistilBertCNN, lengths: list[int], extra: int, fill: int) -> None:
    """With any amount of padding, and any ids in it."""
    torch.manual_seed(sum(lengths))
    width = min(max(lengths) + extra, 40)
    ids_BL = torch.full((len(lengths), width), fill)
    mask_BL = torch.zeros(len(lengths), width, dtype=torch.bool)
    with torch.inference_mode():
        alone = []
        for row, length in enumerate(lengths):
            ids = torch.randint(5, 64, (length,))
            ids_BL[row, :length] = ids
            mask_BL[row, :length] = True
            alone.append(tiny(ids[None], torch.ones(1, length, dtype=torch.bool))[0])
        together = tiny(ids_BL, mask_BL)
    assert (torch.stack(alone) - together).abs().max() < 1e-5


def test_the_head_is_the_originals() -> None:
    """Conv1d 128 x 5, dropout 0.42, one output per label."""
    model = DistilBertCNN(tiny_config(channels=128, head_dropout=0.42))
    assert (tuple(model.conv.weight.shape), model.dropout.p) == ((128, 32, 5), 0.42)
    assert 3 == model.classifier.out_features


def test_the_config_knows_the_shape_of_every_parameter(tiny: DistilBertCNN) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in tiny.state_dict().items()} == tiny.config.shapes()


def test_each_layer_norm_has_the_epsilon_of_the_config() -> None:
    """The one in the head too."""
    model = DistilBertCNN(tiny_config(layer_norm_eps=1e-5, attention_heads=4))
    assert [1e-5] * 6 == [module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]


def test_attention_changes_the_result() -> None:
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(attention_heads=2)).eval()
    ids_BL, mask_BL = torch.tensor([[2, 5, 9, 3]]), torch.ones(1, 4, dtype=torch.bool)
    with torch.inference_mode():
        with_attention_BK = model(ids_BL, mask_BL)
        model.head_attention = None
        assert (with_attention_BK - model(ids_BL, mask_BL)).abs().max() > 1e-3
