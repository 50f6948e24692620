"""Labelled texts: a split, the same split as token ids, and the texts that two splits share.

`sources.py` reads them from the data set that --data names, `table.py` from one table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from emotag_model.tokens import TokenIds


@dataclass(frozen=True)
class Split:
    """Labelled texts to train on or to measure on.

    Attributes:
        texts: N texts.
        targets_NK: 1.0 if a text has a label; soft labels from a teacher are between 0 and 1.
        labels: the K label names, in column order.
        sha256: of the file, or of the content if there is no single file; see `table.py`.
    """

    texts: tuple[str, ...]
    targets_NK: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "Split":
        """Return the same split with only these rows, in this order."""
        return Split(tuple(self.texts[row] for row in rows), self.targets_NK[rows], self.labels, self.sha256)


@dataclass(frozen=True)
class TokenizedSplit:
    """A split with the token ids of its texts: a run tokenizes each text once."""

    split: Split
    token_ids: Sequence[TokenIds]

    @classmethod
    def of(cls, split: Split, tokens: Callable[[Sequence[str]], Sequence[TokenIds]]) -> Self:
        """Tokenize *split* with *tokens*."""
        return cls(split, tokens(split.texts))

    def __len__(self) -> int:
        return len(self.split)


def find_shared_rows(split: Split, other: Split) -> npt.NDArray[np.int64]:
    """Return the rows of *split* whose exact text is in *other* too."""
    seen = set(other.texts)
    return np.flatnonzero([text in seen for text in split.texts])


def describe_splits(train: Split, dev: Split) -> str:
    """Return the sizes of the splits, and the rarest labels, as a line for the terminal."""
    counts = zip(train.targets_NK.sum(axis=0).round().astype(int), train.labels, strict=True)
    rarest = ", ".join(f"{label} ({count})" for count, label in sorted(counts)[:3])
    return (
        f"{len(train):,} texts to train on, {len(dev):,} to measure on (dev), {len(train.labels)} labels; the rarest in"
        f" train: {rarest}"
    )
