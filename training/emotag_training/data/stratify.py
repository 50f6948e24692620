"""Set some texts aside as dev, so that each label is as frequent in dev as in the rest.

Source: Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label Data" (ECML PKDD 2011). Rare labels
are placed first, because their texts leave the least choice. Here the units are not texts but groups of duplicates,
so that no text of dev is also one to train on.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]


def normalize(text: str) -> str:
    """Return the form in which two texts count as duplicates: without differences of case, width and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def group_duplicates(texts: Sequence[str]) -> list[list[int]]:
    """Return the rows of each different text, in the order of first occurrence."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        rows_of[normalize(text)].append(row)
    return list(rows_of.values())


def choose_dev_share(texts: int) -> float:
    """Return the share of the texts to set aside: a tenth, but 300 texts if a quarter is as many."""
    return min(0.25, max(0.1, 300 / texts))


def choose_dev(
    texts: Sequence[str], targets_NK: npt.NDArray[np.float32], *, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which of N texts are dev, [N]. The result depends on nothing but the arguments.

    Args:
        targets_NK: 1 if a text has a label.
        share: of dev, over 0 and below 1.
    """
    groups = group_duplicates(texts)
    # A label more: "none", so that texts without a label are divided as well.
    padded_NK = np.column_stack([targets_NK > 0, ~(targets_NK > 0).any(axis=1)]).astype(np.float64)
    counts_GK = np.array([padded_NK[rows].sum(axis=0) for rows in groups])
    sizes_G = np.array([len(rows) for rows in groups], np.float64)
    goes_G = _divide(counts_GK, sizes_G, share, np.random.default_rng(seed))
    is_dev_N = np.zeros(len(texts), np.bool_)
    is_dev_N[[row for goes, rows in zip(goes_G, groups, strict=True) if goes for row in rows]] = True
    return is_dev_N


def _divide(counts_GK: Counts, sizes_G: Counts, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which of G groups go to dev, [G]."""
    shares_S = np.array([1 - share, share])  # train, dev
    wanted_SK = np.outer(shares_S, counts_GK.sum(axis=0))
    wanted_S = shares_S * sizes_G.sum()
    waiting_G = np.ones(len(sizes_G), np.bool_)
    goes_G = np.zeros(len(sizes_G), np.bool_)
    order_G = rng.permutation(len(sizes_G))
    while waiting_G.any():
        # 1. The label with the fewest groups that wait.
        left_K = (counts_GK[waiting_G] > 0).sum(axis=0)
        rarest = int(np.argmin(np.where(left_K > 0, left_K, np.inf)))
        for group in order_G[waiting_G[order_G] & (counts_GK[order_G, rarest] > 0)]:
            # 2. The side that lacks the label most, then the side that lacks texts most.
            side = max((0, 1), key=lambda s: (round(wanted_SK[s, rarest] / shares_S[s], 9), wanted_S[s] / shares_S[s]))
            # 3. Put the whole group there.
            goes_G[group], waiting_G[group] = bool(side), False
            wanted_SK[side] -= counts_GK[group]
            wanted_S[side] -= sizes_G[group]
    # A label that would occur in dev alone cannot be learned.
    for label in np.flatnonzero(~(counts_GK[~goes_G] > 0).any(axis=0)):
        goes_G[counts_GK[:, label] > 0] = False
    return goes_G
