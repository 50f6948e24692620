"""Texts laid end to end: one row of tokens, so that no work is done on padding.

Shape letters: T tokens of a batch, B texts, L tokens of the longest of them, S tokens of the spaced row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Packed:
    """One batch.

    Attributes:
        ids_T: the token ids of all texts, one text after the other, then the filling.
        positions_T: each token's place in its own text.
        lengths_B: tokens of each text.
    """

    ids_T: Ints
    positions_T: Ints
    lengths_B: Ints

    @property
    def starts_B(self) -> Ints:
        """Where each text begins in the row."""
        return (np.cumsum(self.lengths_B) - self.lengths_B).astype(np.int32)

    def mask_BL(self) -> npt.NDArray[np.bool_]:
        """True where a rectangle of one text a row has a token."""
        return np.arange(int(self.lengths_B.max())) < self.lengths_B[:, None]

    def rectangle_BL(self) -> Ints:
        """For every place of that rectangle the token that stands there; where none does, the text's own first one."""
        offsets_L = np.arange(int(self.lengths_B.max()), dtype=np.int32)
        return self.starts_B[:, None] + np.where(self.mask_BL(), offsets_L, 0).astype(np.int32)

    def back_T(self) -> Ints:
        """For every token its place in that rectangle, counted row by row; the filling takes the first."""
        places = np.flatnonzero(self.mask_BL()).astype(np.int32)
        return np.concatenate([places, np.zeros(len(self.ids_T) - len(places), np.int32)])

    def spaced_S(self, gap: int) -> Ints:
        """For every place of a row with *gap* zero rows before, between and behind the texts its token, T for none.

        A convolution whose kernel reaches *gap* tokens to either side sees just what it would see with each text alone.
        """
        T = len(self.ids_T)
        spaced_S = np.full(T + gap * (len(self.lengths_B) + 1), T, np.int32)
        spaced_S[self.in_spaced_T(gap)] = np.arange(int(self.lengths_B.sum()), dtype=np.int32)
        return spaced_S

    def in_spaced_T(self, gap: int) -> Ints:
        """Where each real token stands in the spaced row."""
        number_T = np.repeat(np.arange(1, len(self.lengths_B) + 1, dtype=np.int32), self.lengths_B)
        return np.arange(len(number_T), dtype=np.int32) + gap * number_T


def pack(rows: Sequence[Sequence[int]], *, round_to: int = 1, fill_id: int = 0) -> Packed:
    """Rows of token ids as one.

    Args:
        rows: the token ids of each text, at least one of each.
        round_to: filled up to a multiple of this many tokens, where kernels are compiled for a shape.
    """
    lengths_B = np.array([len(row) for row in rows], np.int32)
    tokens = int(lengths_B.sum())
    ids_T = np.full(-(-tokens // round_to) * round_to, fill_id, np.int32)
    ids_T[:tokens] = np.fromiter(chain.from_iterable(rows), np.int32, tokens)
    positions_T = np.zeros(len(ids_T), np.int32)
    starts_B = np.cumsum(lengths_B) - lengths_B
    positions_T[:tokens] = np.arange(tokens, dtype=np.int32) - np.repeat(starts_B, lengths_B).astype(np.int32)
    return Packed(ids_T, positions_T, lengths_B)
