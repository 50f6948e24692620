"""What a step makes smaller: one number for a batch's logits and the labels that its texts have.

Every loss here is a mean over texts and labels, so that a recipe's learning rates mean the same under each. With
x a logit, p = sigmoid(x) and y the target of one text and one label:

    bce         -y log p - (1 - y) log(1 - p)
    focal       -y (1 - p)^g log p - (1 - y) p^g log(1 - p)
    asymmetric  -y (1 - p)^g+ log p - (1 - y) m^g- log(1 - m),  m = max(p - clip, 0)
    distribution_balanced  w (y log(1 + e^-(x - v)) + (1 - y) / l log(1 + e^(l (x - v)))),  w and v: see there
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor

from .recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits_BK, targets_BK), both float32, to a mean over both."""


def loss_of(recipe: Recipe, targets_NK: Tensor) -> Loss:
    """The loss that a recipe names, with the weights and the smoothing that it asks for.

    Args:
        targets_NK: of all training texts, on the device that trains: how often each label occurs.
    """
    counts_K = targets_NK.sum(dim=0)
    weights_K = class_balanced_weights(counts_K, beta=recipe.class_balanced)

    def loss(logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
        given_BK = targets_BK
        targets_BK = smoothed(targets_BK, by=recipe.label_smoothing)
        if recipe.loss == "focal":
            losses_BK = focal(logits_BK, targets_BK, gamma=recipe.focal_gamma)
        elif recipe.loss == "asymmetric":
            losses_BK = asymmetric(
                logits_BK,
                targets_BK,
                gamma_positive=recipe.asymmetric_gamma_positive,
                gamma_negative=recipe.asymmetric_gamma_negative,
                clip=recipe.asymmetric_clip,
            )
        elif recipe.loss == "distribution_balanced":
            losses_BK = negative_tolerant(
                logits_BK,
                targets_BK,
                counts_K / len(targets_NK),
                kappa=recipe.distribution_kappa,
                scale=recipe.distribution_lambda,
            ) * rebalanced_weights(
                given_BK,  # smoothed ones would make every text one of the rarest label
                counts_K,
                alpha=recipe.distribution_alpha,
                beta=recipe.distribution_beta,
                mu=recipe.distribution_mu,
            )
        else:
            losses_BK = F.binary_cross_entropy_with_logits(logits_BK, targets_BK, reduction="none")
        return (losses_BK * weights_K).mean()

    return loss


def focal(logits_BK: Tensor, targets_BK: Tensor, *, gamma: float) -> Tensor:
    """Focal loss [B, K]: what is already right counts for less. With *gamma* 0 it is binary cross-entropy.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection" (arXiv:1708.02002), equation 4; their alpha, which
    weighs positives against negatives, is left out.
    """
    return asymmetric(logits_BK, targets_BK, gamma_positive=gamma, gamma_negative=gamma, clip=0.0)


def asymmetric(
    logits_BK: Tensor, targets_BK: Tensor, *, gamma_positive: float, gamma_negative: float, clip: float
) -> Tensor:
    """Asymmetric loss [B, K]: easy negatives, of which a text has two dozen, count for less than easy positives.

    A negative with a probability below *clip* counts for nothing: it moves the model no more.

    Source: Ridnik et al. 2021, "Asymmetric Loss For Multi-Label Classification" (arXiv:2009.14119), equations 4 to 7.
    """
    log_p_BK, log_not_p_BK = F.logsigmoid(logits_BK), F.logsigmoid(-logits_BK)
    p_BK, not_p_BK = torch.sigmoid(logits_BK), torch.sigmoid(-logits_BK)
    shifted_BK, log_not_shifted_BK = p_BK, log_not_p_BK
    if clip:
        shifted_BK = (p_BK - clip).clamp(min=0)
        log_not_shifted_BK = torch.log1p(-shifted_BK)  # at most clip away from one: never infinite
    positive_BK = _power(not_p_BK, gamma_positive) * log_p_BK
    negative_BK = _power(shifted_BK, gamma_negative) * log_not_shifted_BK
    return -(targets_BK * positive_BK + (1 - targets_BK) * negative_BK)


def rebalanced_weights(targets_BK: Tensor, counts_K: Tensor, *, alpha: float, beta: float, mu: float) -> Tensor:
    """The weight of each decision, [B, K]: alpha + sigmoid(beta (r - mu)), r = (1 / n_k) / sum_j (y_j / n_j).

    r is how often the text would be drawn for the sake of label k, against how often for any of its labels, if labels
    were drawn evenly: a text's only label has 1; of the others, rarer ones have more and more frequent ones less. A
    text without a label has the full weight everywhere; a label that never occurs counts as one that occurs once.

    Source: Wu et al. 2020, "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets"
    (arXiv:2007.09654), section 3.1. They also draw texts by label; here each is drawn once an epoch, as under every
    loss. Texts have fewer labels than their pictures, so that r is 1 more often.
    """
    inverse_K = 1 / counts_K.clamp(min=1)
    drawn_B1 = (targets_BK * inverse_K).sum(dim=1, keepdim=True)
    ratio_BK = inverse_K / drawn_B1.clamp(min=torch.finfo(inverse_K.dtype).tiny)
    return alpha + torch.sigmoid(beta * (ratio_BK - mu))


def negative_tolerant(logits_BK: Tensor, targets_BK: Tensor, shares_K: Tensor, *, kappa: float, scale: float) -> Tensor:
    """Binary cross-entropy [B, K] that presses a label's logits down less, the rarer it is.

    y log(1 + e^-(x - v)) + (1 - y) / scale * log(1 + e^(scale (x - v))),  v = kappa / scale * log(1 / share - 1). A
    negative far below v moves the model no more, the sooner the larger the scale; with kappa 0 and scale 1 it is
    binary cross-entropy.

    Source: as for `rebalanced_weights`, section 3.2; v as in the authors' published code. The focal factor that they
    multiply with there is left out: it is a loss of its own here.

    Args:
        shares_K: of the training texts, how many have each label.
    """
    few_K = shares_K.clamp(1e-6, 1 - 1e-6)
    shifted_BK = logits_BK - kappa / scale * torch.log(1 / few_K - 1)
    return targets_BK * F.softplus(-shifted_BK) + (1 - targets_BK) / scale * F.softplus(scale * shifted_BK)


def class_balanced_weights(counts_K: Tensor, *, beta: float) -> Tensor:
    """One weight a label, [K], with a mean of one: (1 - beta) / (1 - beta^count), the inverse of its effective number.

    Here a label's weight holds for the texts that have it and for those that have it not. A label that never occurs
    weighs as much as one that occurs once.

    Source: Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples" (arXiv:1901.05555), equation 3;
    as they do, the weights are scaled to sum to K.
    """
    if not beta:
        return torch.ones_like(counts_K)
    exponents_K = counts_K.clamp(min=1).double()
    weights_K = (1 - beta) / (1 - beta**exponents_K)
    return (weights_K * len(counts_K) / weights_K.sum()).to(counts_K.dtype)


def smoothed(targets_BK: Tensor, *, by: float) -> Tensor:
    """Targets [B, K] moved toward one half: y (1 - by) + by / 2.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture" (arXiv:1512.00567), section 7, for the two
    classes that each label is.
    """
    return targets_BK * (1 - by) + by / 2 if by else targets_BK


def _power(values_BK: Tensor, exponent: float) -> Tensor | float:
    """values^exponent, and 1 for no exponent: the gradient of 0^0 is no number."""
    return values_BK**exponent if exponent else 1.0
