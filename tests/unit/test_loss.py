"""Each loss against its formula written out, one text and one label at a time."""

import math

import pytest
import torch
from torch import nn

from training.loss import (
    asymmetric,
    class_balanced_weights,
    focal,
    loss_of,
    negative_tolerant,
    rebalanced_weights,
    smoothed,
)
from training.recipe import Recipe

LOGITS = [[-3.0, 0.4, 2.0], [0.0, -0.1, 6.0], [-9.0, 1.3, -2.9], [30.0, -40.0, 0.7]]
TARGETS = [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(LOGITS, requires_grad=True), torch.tensor(TARGETS)


def written_out(logit: float, target: float, positive: float, negative: float, clip: float) -> float:
    """Asymmetric loss of one decision, as its paper has it."""
    p = 1 / (1 + math.exp(-logit))
    m = max(p - clip, 0.0)
    kept = 0.0 if target == 1 else m**negative * math.log(1 - m)
    given = 0.0 if target == 0 else (1 - p) ** positive * math.log(p)
    return -(target * given + (1 - target) * kept)


def expected(positive: float, negative: float, clip: float) -> list[list[float]]:
    return [
        [written_out(x, y, positive, negative, clip) for x, y in zip(logits, targets, strict=True)]
        for logits, targets in zip(LOGITS, TARGETS, strict=True)
    ]


def test_the_default_is_binary_cross_entropy() -> None:
    logits_BK, targets_BK = batch()
    found = loss_of(Recipe(), targets_BK)(logits_BK, targets_BK)
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss()(logits_BK, targets_BK))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_focal_loss_is_its_formula(gamma: float) -> None:
    logits_BK, targets_BK = batch()
    torch.testing.assert_close(
        torch.tensor(expected(gamma, gamma, 0.0)), focal(logits_BK, targets_BK, gamma=gamma), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("positive", "negative", "clip"), [(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (0.0, 0.0, 0.05)])
def test_asymmetric_loss_is_its_formula(positive: float, negative: float, clip: float) -> None:
    logits_BK, targets_BK = batch()
    found_BK = asymmetric(logits_BK, targets_BK, gamma_positive=positive, gamma_negative=negative, clip=clip)
    torch.testing.assert_close(torch.tensor(expected(positive, negative, clip)), found_BK, rtol=1e-5, atol=1e-7)


def test_focal_loss_that_looks_nowhere_is_binary_cross_entropy() -> None:
    logits_BK, targets_BK = batch()
    found = loss_of(Recipe(loss="focal", focal_gamma=0.0), targets_BK)(logits_BK, targets_BK)
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss()(logits_BK, targets_BK))


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric", "distribution_balanced"])
@pytest.mark.parametrize("logit", [-200.0, -0.0, 200.0])
def test_no_logit_makes_a_loss_or_its_gradient_infinite(name: str, logit: float) -> None:
    logits_BK = torch.full((2, 2), logit, requires_grad=True)
    targets_BK = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = loss_of(Recipe.model_validate({"loss": name}), targets_BK)(logits_BK, targets_BK)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits_BK.grad is not None
    assert torch.isfinite(found)
    assert torch.isfinite(logits_BK.grad).all()


COUNTS = [10.0, 40.0, 2.0]


def test_distribution_balanced_loss_is_its_formula() -> None:
    """Of 100 texts 10, 40 and 2 have the labels; the third text has the rare one alone."""
    logits_BK, targets_BK = batch()
    alpha, beta, mu, kappa, scale = 0.1, 10.0, 0.2, 0.05, 2.0
    losses = []
    for logits, targets in zip(LOGITS, TARGETS, strict=True):
        drawn = sum(y / n for y, n in zip(targets, COUNTS, strict=True))
        for x, y, n in zip(logits, targets, COUNTS, strict=True):
            weight = alpha + 1 / (1 + math.exp(-beta * (1 / n / drawn - mu)))
            z = x - kappa / scale * math.log(100 / n - 1)
            losses.append(weight * (math.log(1 + math.exp(-z)) if y else math.log(1 + math.exp(scale * z)) / scale))
    train_NK = torch.tensor([[float(row < count) for count in COUNTS] for row in range(100)])
    found = loss_of(Recipe(loss="distribution_balanced"), train_NK)(logits_BK, targets_BK)
    assert sum(losses) / len(losses) == pytest.approx(found.item(), rel=1e-5)


def test_distribution_balanced_loss_without_shift_and_scale_is_binary_cross_entropy() -> None:
    logits_BK, targets_BK = batch()
    found_BK = negative_tolerant(logits_BK, targets_BK, torch.tensor([0.1, 0.4, 0.02]), kappa=0.0, scale=1.0)
    torch.testing.assert_close(nn.BCEWithLogitsLoss(reduction="none")(logits_BK, targets_BK), found_BK)


def test_rebalanced_weights_of_a_text_go_by_its_labels() -> None:
    """Its only label weighs in full; one less frequent too, one more frequent little; without a label all in full."""
    only, none = rebalanced_weights(
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([10.0, 1000.0, 0.0]), alpha=0.1, beta=10, mu=0.2
    ).tolist()
    assert [1.0997, 0.2301, 1.1] == pytest.approx(only, abs=1e-3)
    assert [1.1, 1.1, 1.1] == pytest.approx(none)


def test_smoothing_takes_no_part_in_rebalancing() -> None:
    """Else a little of a rarest label would outweigh a text's own."""
    logits_BK, targets_BK = batch()
    train_NK = torch.tensor([[float(row < count) for count in COUNTS] for row in range(100)])
    recipe = Recipe(loss="distribution_balanced", label_smoothing=0.1)
    losses_BK = negative_tolerant(
        logits_BK, smoothed(targets_BK, by=0.1), torch.tensor(COUNTS) / 100, kappa=0.05, scale=2.0
    )
    weights_BK = rebalanced_weights(targets_BK, torch.tensor(COUNTS), alpha=0.1, beta=10.0, mu=0.2)
    torch.testing.assert_close((losses_BK * weights_BK).mean(), loss_of(recipe, train_NK)(logits_BK, targets_BK))


def test_class_balanced_weights_are_the_inverse_of_effective_numbers() -> None:
    counts, beta = [4.0, 100.0, 14_000.0], 0.999
    effective = [(1 - beta**count) / (1 - beta) for count in counts]
    scale = len(counts) / sum(1 / number for number in effective)
    found = class_balanced_weights(torch.tensor(counts), beta=beta)
    torch.testing.assert_close(torch.tensor([scale / number for number in effective]), found)
    assert 3.0 == pytest.approx(float(found.sum()))


def test_a_label_that_never_occurs_has_a_weight() -> None:
    zero, one = class_balanced_weights(torch.tensor([0.0, 1.0]), beta=0.99).tolist()
    assert one == zero


def test_weights_and_smoothing_reach_the_loss() -> None:
    """Columns weighted, targets moved toward one half; beside the plain formula."""
    logits_BK, targets_BK = batch()
    counts = torch.tensor([[1.0, 0.0, 0.0]] + [[0.0, 1.0, 1.0]] * 50)
    found = loss_of(Recipe(class_balanced=0.9, label_smoothing=0.1), counts)(logits_BK, targets_BK)
    weights_K = class_balanced_weights(torch.tensor([1.0, 50.0, 50.0]), beta=0.9)
    moved_BK = targets_BK * 0.9 + 0.05
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss(weight=weights_K)(logits_BK, moved_BK))


def test_smoothed_targets_are_half_the_smoothing_away_from_where_they_were() -> None:
    assert [0.1, 0.9] == pytest.approx(smoothed(torch.tensor([0.0, 1.0]), by=0.2).tolist())
