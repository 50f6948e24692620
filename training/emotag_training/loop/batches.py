"""Batches: groups of texts of similar length, and their token ids as rectangles."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotag_model.config import ModelConfig
from emotag_model.forward import pad_on_device
from emotag_model.tokens import TokenIds

POOL_BATCHES = 50
"""Texts are sorted by length within random pools of this many batches."""


class TokenBatches:
    """The training texts as token ids, with a share of the tokens masked.

    Args:
        config: of the model that trains on them.
        masked: the share of tokens that are replaced, drawn again for every batch.
        mask_id: the token that replaces them.
    """

    def __init__(self, texts: Sequence[TokenIds], config: ModelConfig, *, masked: float, mask_id: int) -> None:
        self._texts = texts
        self._config = config
        self._masked = masked
        self._mask_id = mask_id

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ids_BL and mask_BL of the texts in *rows*."""
        ids_BL, mask_BL = pad_on_device([self._texts[row] for row in rows], self._config, device=device)
        if self._masked:
            ids_BL = mask_tokens(ids_BL, mask_BL, share=self._masked, mask_id=self._mask_id)
        return ids_BL, mask_BL


def draw_batches(
    lengths: Sequence[int], *, batch_size: int, rng: np.random.Generator, pool_batches: int = POOL_BATCHES
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield one epoch of batches of similar length in random order: little padding, and another mixture every epoch.

    Args:
        lengths: tokens per text.
        batch_size: texts per batch; the last one of the epoch may be smaller.
        pool_batches: as `POOL_BATCHES`.
    """
    order = rng.permutation(len(lengths))
    length_of = np.asarray(lengths)
    pool = batch_size * pool_batches
    batches: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(length_of[rows], kind="stable")]
        batches.extend(rows[first : first + batch_size] for first in range(0, len(rows), batch_size))
    for index in rng.permutation(len(batches)):
        yield batches[index]


def mask_tokens(ids_BL: Tensor, mask_BL: Tensor, *, share: float, mask_id: int) -> Tensor:
    """Return ids_BL with a random *share* of the tokens replaced; each text's first and last token stay."""
    inner_BL = mask_BL & torch.roll(mask_BL, -1, dims=1)  # the last real token has padding, or the first one, after it
    inner_BL[:, 0] = inner_BL[:, -1] = False
    masked_BL = inner_BL & (torch.rand(ids_BL.shape, device=ids_BL.device) < share)
    return torch.where(masked_BL, mask_id, ids_BL)
