"""The packed forward in torch."""

from collections.abc import Callable

import pytest
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.packed import PackedForward
from emotag_model.engines.packing import pack
from emotag_model.tokens import pad

ROWS = [[2, 5, 3], [2, 6, 3], [2, 7, 8, 9, 3], [2, *range(5, 25), 3]]


@pytest.fixture
def model(tiny_artifact: Callable[[], Artifact]) -> DistilBertCNN:
    """The tiny model."""
    made = tiny_artifact()
    return DistilBertCNN.of(made.config, made.weights)


@torch.inference_mode()
@pytest.mark.parametrize("round_to", [1, 64])
def test_its_logits_are_those_of_the_reference(model: DistilBertCNN, round_to: int) -> None:
    """With and without filling at the end of the row."""
    ids_BL, mask_BL = map(torch.from_numpy, pad(ROWS, pad_id=0))
    logits_BK = PackedForward(model)(pack(ROWS, round_to=round_to))[: len(ROWS)]
    assert torch.allclose(model(ids_BL, mask_BL), logits_BK, atol=1e-5)


@torch.inference_mode()
def test_imitated_int8_is_near_but_not_equal(model: DistilBertCNN) -> None:
    exact_BK = PackedForward(model)(pack(ROWS))
    rounded_BK = PackedForward(model, precision="int8")(pack(ROWS))
    assert 0 < (exact_BK - rounded_BK).abs().max() < 0.1


def test_a_precision_without_a_kernel_is_an_error(model: DistilBertCNN) -> None:
    """Never fp32 by default."""
    with pytest.raises(KeyError, match="fp4"):
        PackedForward(model, precision="fp4")  # type: ignore[arg-type]
