"""Plans of forward passes, and texts end to end in one row: no work is done on padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

ROUND_TO = 16
"""On CPUs, all shapes of a forward pass that depend on the batch are multiples of this. For the last rows or columns of
other shapes, kernels add in another order: the bits of a text would depend on its batch."""


def plan_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Group texts of similar length so that each batch stays within the device's budget.

    Args:
        lengths: tokens per text after truncation, each at least 1.
        max_tokens: budget of one batch: texts x longest text, tokens. A text longer than this is a batch by itself.

    Returns:
        Indices into *lengths*, shortest first; every index exactly once.
    """
    lengths_N = np.asarray(lengths, np.int64)
    order = np.argsort(lengths_N, kind="stable")
    sorted_N = lengths_N[order]
    batches: list[list[int]] = []
    first = 0
    while first < len(order):
        # The lengths rise: no more texts fit than of the first length, and the last text of a batch is its longest.
        longest_M = sorted_N[first : first + max(1, max_tokens // int(sorted_N[first]))]
        fitting = int(np.count_nonzero(longest_M * np.arange(1, len(longest_M) + 1) <= max_tokens))
        batches.append(order[first : first + max(1, fitting)].tolist())
        first += len(batches[-1])
    return batches


@dataclass(frozen=True, slots=True)
class Packed:
    """One batch of texts in one row.

    Attributes:
        ids_T: the token ids of all texts, one text after the other, and at the end the filling.
        positions_T: each token's place in its own text.
        lengths_B: tokens of each text.
    """

    ids_T: Ints
    positions_T: Ints
    lengths_B: Ints

    @property
    def starts_B(self) -> Ints:
        """Return the first place of each text in the row."""
        return (np.cumsum(self.lengths_B) - self.lengths_B).astype(np.int32)

    @property
    def width(self) -> int:
        """Return the width of the rectangle: the longest text, rounded up."""
        return round_up(int(self.lengths_B.max()))

    def mask_BL(self) -> npt.NDArray[np.bool_]:
        """Return a mask of the rectangle with one text per row: True on tokens."""
        return np.arange(self.width) < self.lengths_B[:, None]

    def rectangle_BL(self) -> Ints:
        """Return the token's place in the row for every place of the rectangle; if empty, the text's first."""
        offsets_L = np.arange(self.width, dtype=np.int32)
        return self.starts_B[:, None] + np.where(self.mask_BL(), offsets_L, 0).astype(np.int32)

    def back_T(self) -> Ints:
        """Return every token's place in the rectangle, counted row by row; the filling takes the first place."""
        places = np.flatnonzero(self.mask_BL()).astype(np.int32)
        return np.concatenate([places, np.zeros(len(self.ids_T) - len(places), np.int32)])

    def spaced_S(self, gap: int) -> Ints:
        """Return the token of every place in a row with *gap* zeros before, between and after the texts; T for a zero.

        A convolution whose kernel reaches *gap* tokens to either side then computes each text as if it were alone. More
        zeros follow, up to a multiple of `ROUND_TO`.
        """
        T = len(self.ids_T)
        spaced_S = np.full(round_up(T + gap * (len(self.lengths_B) + 1)), T, np.int32)
        spaced_S[self.in_spaced_T(gap)] = np.arange(int(self.lengths_B.sum()), dtype=np.int32)
        return spaced_S

    def in_spaced_T(self, gap: int) -> Ints:
        """Return the place of each real token in the spaced row."""
        number_T = np.repeat(np.arange(1, len(self.lengths_B) + 1, dtype=np.int32), self.lengths_B)
        return np.arange(len(number_T), dtype=np.int32) + gap * number_T


def round_up(count: int, to: int = ROUND_TO) -> int:
    """Return the next multiple of *to*."""
    return -(-count // to) * to


def pack(rows: Sequence[Sequence[int]], *, round_to: int = 1, fill_id: int = 0) -> Packed:
    """Return rows of token ids as one row.

    Args:
        rows: the token ids of each text, at least one per text.
        round_to: the row is filled up to a multiple of this many tokens: some devices compile kernels per shape.
    """
    lengths_B = np.array([len(row) for row in rows], np.int32)
    tokens = int(lengths_B.sum())
    ids_T = np.full(round_up(tokens, round_to), fill_id, np.int32)
    ids_T[:tokens] = np.fromiter(chain.from_iterable(rows), np.int32, tokens)
    positions_T = np.zeros(len(ids_T), np.int32)
    starts_B = np.cumsum(lengths_B) - lengths_B
    positions_T[:tokens] = np.arange(tokens, dtype=np.int32) - np.repeat(starts_B, lengths_B).astype(np.int32)
    return Packed(ids_T, positions_T, lengths_B)
