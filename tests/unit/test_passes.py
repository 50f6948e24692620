"""Several masks and passes in a step: what each computes, and what their losses come to."""

import math

import pytest
import torch
from torch import Tensor, nn

from model.distilbert_cnn import DistilBertCNN
from tests.numerics.conftest import tiny_config
from training.passes import Passes, divergence, over_passes, several
from training.recipe import Recipe

IDS_BL = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK_BL = IDS_BL != 0


def passes(**changes: object) -> tuple[DistilBertCNN, Passes]:
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config())
    return model, Passes(model, model.trunk, Recipe.model_validate(changes))


def test_a_recipe_has_one_pass_and_one_mask_unless_it_says_otherwise() -> None:
    assert not several(Recipe())
    assert several(Recipe(multi_sample_dropout=2))
    assert several(Recipe(r_drop=0.5))


def test_without_dropout_every_mask_and_pass_is_the_models_own_forward() -> None:
    model, several_times = passes(multi_sample_dropout=3, r_drop=1.0)
    model.eval()
    expected_BK = model(IDS_BL, MASK_BL)
    found = several_times(IDS_BL, MASK_BL)
    assert (3, 2, *expected_BK.shape) == found.shape
    torch.testing.assert_close(expected_BK.expand_as(found), found)


def test_masks_share_a_pass_and_differ_in_the_head_alone() -> None:
    """With a head that drops nothing all masks are the same, whatever the trunk drops; passes never are."""
    model, several_times = passes(multi_sample_dropout=2, r_drop=1.0)
    model.train()
    a, b = several_times(IDS_BL, MASK_BL)
    assert not torch.equal(a, b)
    model.dropout.p = 0.0
    a, b = several_times(IDS_BL, MASK_BL)
    torch.testing.assert_close(a, b)
    assert not torch.equal(a[0], a[1])


@pytest.mark.parametrize("pair", [(0.3, -1.2), (4.0, 4.0), (-6.0, 2.0)])
def test_the_divergence_is_the_mean_of_both_directions(pair: tuple[float, float]) -> None:
    p, q = (1 / (1 + math.exp(-logit)) for logit in pair)
    there = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    back = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    assert (there + back) / 2 == pytest.approx(float(divergence(*torch.tensor(pair))), rel=1e-4, abs=1e-7)


def plain(logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
    return nn.BCEWithLogitsLoss()(logits_BK, targets_BK)  # type: ignore[no-any-return]


def test_losses_are_averaged_over_masks_and_passes_and_the_divergence_is_weighed() -> None:
    torch.manual_seed(0)
    logits_SPBK, targets_BK = torch.randn(3, 2, 4, 5), torch.randint(0, 2, (4, 5)).float()
    mean = torch.stack([plain(logits_BK, targets_BK) for logits_PBK in logits_SPBK for logits_BK in logits_PBK]).mean()
    apart = divergence(logits_SPBK[:, 0], logits_SPBK[:, 1]).mean()
    torch.testing.assert_close(mean + 0.7 * apart, over_passes(plain, r_drop=0.7)(logits_SPBK, targets_BK))
    torch.testing.assert_close(
        plain(logits_SPBK[0, 0], targets_BK), over_passes(plain, r_drop=0.0)(logits_SPBK[:1, :1], targets_BK)
    )


def test_passes_that_agree_diverge_by_nothing_and_pull_at_nothing() -> None:
    logits = torch.tensor([2.0, -50.0, 90.0], requires_grad=True)
    found = divergence(logits, logits.detach().clone()).sum()
    found.backward()  # type: ignore[no-untyped-call]
    assert 0.0 == found.item()
    assert logits.grad is not None
    assert [0.0, 0.0, 0.0] == logits.grad.tolist()
