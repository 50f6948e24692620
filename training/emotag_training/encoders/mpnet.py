"""MPNet as an encoder to distill from: no engine of a worker computes it.

It differs from DistilBERT in one thing: to every score of attention it adds what it has learnt of the distance between
the two tokens, a number for each head and each of 32 ranges of distances, the same in all layers. Parameters have
DistilBERT's names, so layers have their rates by the same rule; the numbers for distances stay as pre-trained.

Source: Song et al. 2020, "MPNet: Masked and Permuted Pre-training for Language Understanding" (arXiv:2004.09297); the
ranges are those of Raffel et al. 2020 (arXiv:1910.10683). A test holds it equal to transformers' MPNetModel.
"""

import math

import torch
from torch import Tensor

from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN, Encoder

RANGES = 32
FARTHEST = 128
PADDING_ID = 1
"""The first position of a text is the one after this number."""


class MpnetEncoder(Encoder):
    """DistilBERT's encoder with a bias of attention for each distance."""

    bias_RH: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.register_buffer("bias_RH", torch.zeros(RANGES, config.n_heads))

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Hidden states [B, L, C]; mask_BL is true on real tokens."""
        bias_HLL = self.bias_RH[compute_ranges(ids_BL.shape[1], ids_BL.device)].permute(2, 0, 1)
        attend_BHLL = torch.where(mask_BL[:, None, None, :], bias_HLL, -torch.inf)
        return self.transformer(self.embeddings(ids_BL), attend_BHLL)  # type: ignore[no-any-return]


class MpnetCNN(DistilBertCNN):
    """`DistilBertCNN` on MPNet: the same head, and no artifact."""

    encoder_type = MpnetEncoder


def compute_ranges(length: int, device: torch.device) -> Tensor:
    """Return the index of the range of distances for each pair of tokens, [L, L].

    Half of them are for tokens before, half for those after: each distance up to 7 by itself, then ever wider ones.
    """
    position_L = torch.arange(length, device=device)
    after_LL = position_L[None, :] - position_L[:, None]
    distance_LL = after_LL.abs()
    one_way, by_itself = RANGES // 2, RANGES // 4
    wider_LL = torch.log(distance_LL.clamp(min=1) / by_itself) / math.log(FARTHEST / by_itself)
    far_LL = (by_itself + (wider_LL * (one_way - by_itself)).long()).clamp(max=one_way - 1)
    return torch.where(distance_LL < by_itself, distance_LL, far_LL) + one_way * (after_LL > 0)
