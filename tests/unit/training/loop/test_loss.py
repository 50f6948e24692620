"""Each loss against its formula written out, one text and one label at a time."""

import math

import pytest
import torch
from torch import nn

from emotag_training.loop.loss import balance_classes, build_loss, compute_asymmetric
from emotag_training.recipe import LossSection

LOGITS = [[-3.0, 0.4, 2.0], [0.0, -0.1, 6.0], [-9.0, 1.3, -2.9], [30.0, -40.0, 0.7]]
TARGETS = [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(LOGITS, requires_grad=True), torch.tensor(TARGETS)


def written_out(logit: float, target: float, positive: float, negative: float, clip: float) -> float:
    """Return the asymmetric loss of one decision, by the formula of its paper."""
    p = 1 / (1 + math.exp(-logit))
    m = max(p - clip, 0.0)
    kept = 0.0 if target == 1 else m**negative * math.log(1 - m)
    given = 0.0 if target == 0 else (1 - p) ** positive * math.log(p)
    return -(target * given + (1 - target) * kept)


@pytest.mark.parametrize(
    "section",
    [LossSection(), LossSection(kind="asymmetric", asymmetric_gamma_negative=0.0, asymmetric_clip=0.0)],
    ids=["the default", "asymmetric without exponents and clip"],
)
def test_it_is_binary_cross_entropy(section: LossSection) -> None:
    logits_BK, targets_BK = batch()
    found = build_loss(section, targets_BK)(logits_BK, targets_BK)
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss()(logits_BK, targets_BK))


def expected(positive: float, negative: float, clip: float) -> list[list[float]]:
    return [
        [written_out(x, y, positive, negative, clip) for x, y in zip(logits, targets, strict=True)]
        for logits, targets in zip(LOGITS, TARGETS, strict=True)
    ]


@pytest.mark.parametrize(
    ("positive", "negative", "clip"), [(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (0.0, 0.0, 0.05), (2.5, 2.5, 0.0)]
)
def test_asymmetric_loss_is_its_formula(positive: float, negative: float, clip: float) -> None:
    logits_BK, targets_BK = batch()
    found_BK = compute_asymmetric(logits_BK, targets_BK, gamma_positive=positive, gamma_negative=negative, clip=clip)
    torch.testing.assert_close(torch.tensor(expected(positive, negative, clip)), found_BK, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["bce", "asymmetric"])
@pytest.mark.parametrize("logit", [-200.0, -0.0, 200.0])
def test_no_logit_makes_a_loss_or_its_gradient_infinite(name: str, logit: float) -> None:
    logits_BK = torch.full((2, 2), logit, requires_grad=True)
    targets_BK = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = build_loss(LossSection.model_validate({"kind": name}), targets_BK)(logits_BK, targets_BK)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits_BK.grad is not None
    assert torch.isfinite(found)
    assert torch.isfinite(logits_BK.grad).all()


def test_class_balanced_weights_are_the_inverse_of_effective_numbers() -> None:
    counts, beta = [4.0, 100.0, 14_000.0], 0.999
    effective = [(1 - beta**count) / (1 - beta) for count in counts]
    scale = len(counts) / sum(1 / number for number in effective)
    found = balance_classes(torch.tensor(counts), beta=beta)
    torch.testing.assert_close(torch.tensor([scale / number for number in effective]), found)
    assert 3.0 == pytest.approx(float(found.sum()))


def test_a_label_that_never_occurs_has_a_weight() -> None:
    zero, one = balance_classes(torch.tensor([0.0, 1.0]), beta=0.99).tolist()
    assert one == zero


def test_label_weights_reach_the_loss() -> None:
    """Compare with the weighted formula of torch."""
    logits_BK, targets_BK = batch()
    counts = torch.tensor([[1.0, 0.0, 0.0]] + [[0.0, 1.0, 1.0]] * 50)
    found = build_loss(LossSection(class_balanced=0.9), counts)(logits_BK, targets_BK)
    weights_K = balance_classes(torch.tensor([1.0, 50.0, 50.0]), beta=0.9)
    torch.testing.assert_close(found, nn.BCEWithLogitsLoss(weight=weights_K)(logits_BK, targets_BK))
