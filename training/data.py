"""Labelled texts as training takes them: a split, and what two splits share.

Where they come from: `data_set`, which knows what --data names, and `labelled`, which reads one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


class DataError(Exception):
    """A data set or file that cannot be used: which one, where in it, and why."""


@dataclass(frozen=True)
class Split:
    """Labelled texts: those that are learnt from, or measured on.

    Attributes:
        texts: N texts.
        targets_NK: 1.0 where a text has a label; in training also between, where raters disagree or a teacher speaks.
        labels: the K label names, in column order.
        sha256: of the file, or of the content where there is no one file; see `labelled`.
    """

    texts: tuple[str, ...]
    targets_NK: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "Split":
        """The same split with only these rows, in this order."""
        return Split(tuple(self.texts[row] for row in rows), self.targets_NK[rows], self.labels, self.sha256)


def with_mean_of_repeats(split: Split) -> Split:
    """Every text with the mean of the targets of all rows that have that very text: raters who disagree made a share.

    The rows stay as many and in order, so a repeated text still counts as often.
    """
    _, first_of, group_N, count = np.unique(
        np.asarray(split.texts, dtype=object), return_index=True, return_inverse=True, return_counts=True
    )
    sums_GK = np.zeros((len(first_of), len(split.labels)), dtype=np.float32)
    np.add.at(sums_GK, group_N, split.targets_NK)
    means_GK: npt.NDArray[np.float32] = np.divide(sums_GK, count[:, None], dtype=np.float32)
    return replace(split, targets_NK=means_GK[group_N])


def shared_rows(split: Split, other: Split) -> npt.NDArray[np.int64]:
    """Rows of *split* whose very text also stands in *other*; figures are to be given with and without them."""
    seen = set(other.texts)
    return np.flatnonzero([text in seen for text in split.texts])
