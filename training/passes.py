"""A step that computes its texts more than once, each time with dropout of its own: multi-sample dropout and R-drop.

A legend beside the model's: S masks before the classifier, P passes through all of the model.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.distilbert_cnn import DistilBertCNN

from .loss import Loss
from .recipe import Recipe


def several(recipe: Recipe) -> bool:
    """Whether a recipe's steps do so."""
    return recipe.multi_sample_dropout > 1 or recipe.r_drop > 0


class Passes(nn.Module):
    """The model as such a step computes it.

    Args:
        encoded: hidden states [B, L, C] from a batch's inputs and its mask: the model's trunk, or what of it learns.
    """

    def __init__(self, model: DistilBertCNN, encoded: Callable[[Tensor, Tensor], Tensor], recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self._encoded = encoded
        self._masks = recipe.multi_sample_dropout
        self._passes = 2 if recipe.r_drop else 1

    def forward(self, inputs: Tensor, mask_BL: Tensor) -> Tensor:
        """Logits [S, P, B, K]."""
        # Both passes as one batch: processes that train together take one forward for one backward.
        repeated_BL = torch.cat([mask_BL] * self._passes)
        hidden_BLC = self._encoded(torch.cat([inputs] * self._passes), repeated_BL)
        pooled_BF = self.model.pooled(hidden_BLC, repeated_BL)
        logits_SBK = self.model.classifier(self.model.dropout(pooled_BF.expand(self._masks, *pooled_BF.shape)))
        return logits_SBK.reshape(self._masks, self._passes, len(mask_BL), -1)  # type: ignore[no-any-return]


def over_passes(loss: Loss, *, r_drop: float) -> Loss:
    """The mean of *loss* over masks and passes, and *r_drop* times how far the two passes are apart.

    Sources: Inoue 2019, "Multi-Sample Dropout for Accelerated Training and Better Generalization" (arXiv:1905.09788);
    Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks" (arXiv:2106.14448), equation 3. There the
    passes' losses are summed; here they are averaged, as in the authors' code, so that learning rates keep their
    meaning. The divergence is a mean over texts and labels, as the loss is.
    """

    def of(logits_SPBK: Tensor, targets_BK: Tensor) -> Tensor:
        masks, passes, texts, labels = logits_SPBK.shape
        targets_SPBK = targets_BK.expand(masks, passes, texts, labels)
        found = loss(logits_SPBK.reshape(-1, labels), targets_SPBK.reshape(-1, labels))
        return found + r_drop * divergence(*logits_SPBK.unbind(1)).mean() if r_drop else found

    return of


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """(KL(p || q) + KL(q || p)) / 2 of the Bernoulli distributions that two logits stand for, in nats.

    The logarithms of p / q and (1 - p) / (1 - q) come together to (p - q) (x - z) / 2, with x and z the logits.
    """
    return (torch.sigmoid(logits) - torch.sigmoid(others)) * (logits - others) / 2
