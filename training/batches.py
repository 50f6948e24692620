"""Which texts share a step, and those texts as rectangles of token ids."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.config import ModelConfig
from model.tokens import TokenIds, pad

ROUND_TO = 8
"""Widths are multiples of this: kernels are compiled per shape."""
UNTRAINED_BATCH = 64
POOL_BATCHES = 50
"""Texts are sorted by length within random pools of this many batches."""


class TokenBatches:
    """The training texts; a share of their tokens is hidden, anew in every step.

    Args:
        config: of the model that learns from them.
        hidden: the share of tokens that are replaced.
        mask_id: by what.
    """

    def __init__(self, texts: Sequence[TokenIds], config: ModelConfig, *, hidden: float, mask_id: int) -> None:
        self._texts = texts
        self._config = config
        self._hidden = hidden
        self._mask_id = mask_id

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """ids_BL and mask_BL of some of them."""
        ids_BL, mask_BL = rectangle([self._texts[row] for row in rows], self._config, device=device)
        if self._hidden:
            ids_BL = hide(ids_BL, mask_BL, share=self._hidden, mask_id=self._mask_id)
        return ids_BL, mask_BL


def bucketed_batches(
    lengths: Sequence[int], *, batch_size: int, rng: np.random.Generator, pool_batches: int = POOL_BATCHES
) -> Iterator[npt.NDArray[np.int64]]:
    """One epoch of batches of like length, in random order: little padding, and yet a fresh mixture every epoch.

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


def rectangle(
    texts: Sequence[TokenIds], config: ModelConfig, *, device: torch.device, round_to: int = ROUND_TO
) -> tuple[Tensor, Tensor]:
    """ids_BL and mask_BL of some texts, on the device; never wider than the model has positions."""
    rows, widest = [text.ids for text in texts], config.max_position_embeddings
    ids_BL, mask_BL = pad(rows, pad_id=config.pad_token_id, round_to=round_to, widest=widest)
    return torch.from_numpy(ids_BL).to(device), torch.from_numpy(mask_BL).to(device)


def hide(ids_BL: Tensor, mask_BL: Tensor, *, share: float, mask_id: int) -> Tensor:
    """ids_BL with a random *share* of the words' tokens replaced; each text's first and last token stay."""
    inner_BL = mask_BL & torch.roll(mask_BL, -1, dims=1)  # the last real token has padding, or the first one, after it
    inner_BL[:, 0] = inner_BL[:, -1] = False
    hidden_BL = inner_BL & (torch.rand(ids_BL.shape, device=ids_BL.device) < share)
    return torch.where(hidden_BL, mask_id, ids_BL)


def by_length(texts: Sequence[TokenIds]) -> Iterator[list[int]]:
    """Rows of all texts, those of like length together: for a forward alone, in which order means nothing."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
    for start in range(0, len(order), UNTRAINED_BATCH):
        yield order[start : start + UNTRAINED_BATCH]
