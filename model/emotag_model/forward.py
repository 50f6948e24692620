"""The reference forward pass over many texts.

The reference engine uses it for models that no fast engine supports, and training uses it to measure models.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .config import ModelConfig
from .distilbert_cnn import DistilBertCNN, find_first
from .engines.packing import ROUND_TO, round_up
from .reasons.spans import Maxima
from .tokens import TokenIds, pad, round_width

TRAINING_ROUND_TO = 8
"""In training, widths are multiples of this: kernels are compiled per shape."""
BATCH_SIZE = 64
"""Texts of one forward pass."""


@torch.inference_mode()
def compute_probabilities(
    model: DistilBertCNN, texts: Sequence[TokenIds], *, device: torch.device
) -> npt.NDArray[np.float32]:
    """Return the probabilities [N, K] of N texts in their order, float32."""
    model.eval()
    result_NK = np.empty((len(texts), len(model.config.labels)), dtype=np.float32)
    for rows, probabilities_BK, _, _ in _compute_batches(model, texts, device=device):
        result_NK[rows] = probabilities_BK.cpu().numpy()
    return result_NK


@torch.inference_mode()
def explain(
    model: DistilBertCNN, texts: Sequence[TokenIds], *, device: torch.device
) -> tuple[npt.NDArray[np.float32], Maxima]:
    """Return the probabilities [N, K] of N texts as `compute_probabilities` does, and the maxima behind them."""
    model.eval()
    result_NK = np.empty((len(texts), len(model.config.labels)), dtype=np.float32)
    maxima = Maxima.allocate(len(texts), model.config.channels)
    for rows, probabilities_BK, features_BLF, pooled_BF in _compute_batches(model, texts, device=device):
        result_NK[rows] = probabilities_BK.cpu().numpy()
        maxima.values_BF[rows] = pooled_BF.cpu().numpy()
        maxima.positions_BF[rows] = find_first(features_BLF, pooled_BF).cpu().numpy()
    return result_NK, maxima


def _compute_batches(
    model: DistilBertCNN, texts: Sequence[TokenIds], *, device: torch.device
) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor]]:
    """Yield the indices of some texts, their probabilities, the features of their tokens, and the pooled features."""
    for rows in group_by_length(texts):
        ids_BL, mask_BL = pad_on_device([texts[row] for row in rows], model.config, device=device, round_to=ROUND_TO)
        hidden_BLC = model.encoder(ids_BL, mask_BL)
        if len(rows) == 1:  # torch has another kernel for the convolution of one text than for that of several
            hidden_BLC, mask_BL = hidden_BLC.expand(2, -1, -1), mask_BL.expand(2, -1)
        features_BLF = model.features(hidden_BLC, mask_BL)[: len(rows)]
        pooled_BF = features_BLF.amax(dim=1)
        # For other numbers of rows, the classifier's product and the sigmoid round some rows differently.
        filled_BF = F.pad(pooled_BF, (0, 0, 0, round_up(len(rows)) - len(rows)))
        yield rows, torch.sigmoid(model.classifier(filled_BF).float())[: len(rows)], features_BLF, pooled_BF


def group_by_length(texts: Sequence[TokenIds]) -> Iterator[list[int]]:
    """Yield the indices of texts of similar length together, `BATCH_SIZE` at a time: this keeps padding small."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
    for start in range(0, len(order), BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


def count_padded_tokens(texts: Sequence[TokenIds], config: ModelConfig) -> int:
    """Return the tokens that `compute_probabilities` computes for these texts, padding included."""
    longest = [(len(rows), max(len(texts[row].ids) for row in rows)) for rows in group_by_length(texts)]
    most = config.max_position_embeddings
    return sum(count * round_width(length, round_to=ROUND_TO, widest=most) for count, length in longest)


def pad_on_device(
    texts: Sequence[TokenIds], config: ModelConfig, *, device: torch.device, round_to: int = TRAINING_ROUND_TO
) -> tuple[Tensor, Tensor]:
    """Return ids_BL and mask_BL of some texts on the device, never wider than the model has positions."""
    rows, widest = [text.ids for text in texts], config.max_position_embeddings
    ids_BL, mask_BL = pad(rows, pad_id=config.pad_token_id, round_to=round_to, widest=widest)
    return torch.from_numpy(ids_BL).to(device), torch.from_numpy(mask_BL).to(device)
