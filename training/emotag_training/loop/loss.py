"""Losses: one number for a batch's logits and targets.

Every loss here is a mean over texts and labels, so a learning rate means the same with every loss. With
x a logit, p = sigmoid(x) and y the target of one text and one label:

    bce         -y log p - (1 - y) log(1 - p)
    asymmetric  -y (1 - p)^g+ log p - (1 - y) m^g- log(1 - m),  m = max(p - clip, 0)
"""

from collections.abc import Callable
from typing import assert_never

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor

from emotag_training.recipe import LossSection

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits_BK and targets_BK, both float32, to the mean loss over texts and labels."""


def build_loss(section: LossSection, targets_NK: Tensor) -> Loss:
    """Return the loss that the section names, with its label weights.

    Args:
        targets_NK: of all training texts, for the frequency of each label; on the device of the model.
    """
    weights_K = balance_classes(targets_NK.sum(dim=0), beta=section.class_balanced)

    def loss(logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
        match section.kind:
            case "bce":
                losses_BK = F.binary_cross_entropy_with_logits(logits_BK, targets_BK, reduction="none")
            case "asymmetric":
                losses_BK = compute_asymmetric(
                    logits_BK,
                    targets_BK,
                    gamma_positive=section.asymmetric_gamma_positive,
                    gamma_negative=section.asymmetric_gamma_negative,
                    clip=section.asymmetric_clip,
                )
            case other:
                assert_never(other)
        return (losses_BK * weights_K).mean()

    return loss


def compute_asymmetric(
    logits_BK: Tensor, targets_BK: Tensor, *, gamma_positive: float, gamma_negative: float, clip: float
) -> Tensor:
    """Return asymmetric loss [B, K]: easy negatives, two dozen per text, count less than easy positives.

    A negative with a probability below *clip* has no loss: it no longer changes the model.

    Source: Ridnik et al. 2021, "Asymmetric Loss For Multi-Label Classification" (arXiv:2009.14119), equations 4 to 7.
    """
    log_p_BK, log_not_p_BK = F.logsigmoid(logits_BK), F.logsigmoid(-logits_BK)
    p_BK, not_p_BK = torch.sigmoid(logits_BK), torch.sigmoid(-logits_BK)
    shifted_BK, log_not_shifted_BK = p_BK, log_not_p_BK
    if clip:
        shifted_BK = (p_BK - clip).clamp(min=0)
        log_not_shifted_BK = torch.log1p(-shifted_BK)  # 1 - shifted_BK is at least clip, so this is finite
    positive_BK = _raise_to(not_p_BK, gamma_positive) * log_p_BK
    negative_BK = _raise_to(shifted_BK, gamma_negative) * log_not_shifted_BK
    return -(targets_BK * positive_BK + (1 - targets_BK) * negative_BK)


def balance_classes(counts_K: Tensor, *, beta: float) -> Tensor:
    """Return one weight per label, [K], with a mean of one: (1 - beta) / (1 - beta^count), by effective numbers.

    Here a label's weight applies to texts with the label and to texts without it. A label that never occurs has the
    weight of one that occurs once.

    Source: Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples" (arXiv:1901.05555), equation 3;
    as in the paper, the weights are scaled to sum to K.
    """
    if not beta:
        return torch.ones_like(counts_K)
    exponents_K = counts_K.clamp(min=1).double()
    weights_K = (1 - beta) / (1 - beta**exponents_K)
    return (weights_K * len(counts_K) / weights_K.sum()).to(counts_K.dtype)


def _raise_to(values_BK: Tensor, exponent: float) -> Tensor | float:
    """Return values^exponent, and 1 if the exponent is 0: the gradient of 0^0 is not a number."""
    return values_BK**exponent if exponent else 1.0
