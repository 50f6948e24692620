"""How far the last texts and their scores are from those that the model was measured on.

The distance is the population stability index: with the shares p of the window and q of the reference in each bin,

    PSI = Σ (p - q) ln(p / q)

which is the symmetric divergence of Jeffreys (Proc. R. Soc. A 186, 1946; also Kullback and Leibler, 1951) over bins;
N. Siddiqi, "Credit Risk Scorecards", Wiley 2006, has the usual reading: below 0.1 nothing, above 0.25 a shift. Where
nothing has shifted it is about (bins - 1) (1 / window + 1 / reference) (B. Yurdakul, "Statistical Properties of
Population Stability Index", Western Michigan University 2018): for 10 bins and 1,000 of 5,000 texts 0.011.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.reference import Reference, bins, counted

WINDOW = 10_000
"""How many of the last results are looked at."""

LEAST = 1_000
"""Below so many nothing is said: chance alone would look like drift."""

HALF = 0.5
"""Added to each count, so that an empty bin has a logarithm (the Krichevsky-Trofimov estimate)."""


@dataclass(frozen=True)
class Distances:
    """What a window says.

    Attributes:
        texts: how many it holds.
        scores_K, length: population stability index of each label's scores and of tokens a text.
        unknown_rate: the share of tokens that the vocabulary does not have.
    """

    texts: int
    scores_K: npt.NDArray[np.float64]
    length: float
    unknown_rate: float


class Drift:
    """The last texts, and what they are compared with."""

    def __init__(self, reference: Reference, *, window: int = WINDOW, least: int = LEAST) -> None:
        self.reference = reference
        self._least = least
        # A ring: bins of scores, then tokens and unknown tokens.
        self._scores_WK = np.zeros((window, len(reference.score_counts_KS)), np.uint8)
        self._tokens_W = np.zeros(window, np.int32)
        self._unknown_W = np.zeros(window, np.int32)
        self._next = 0
        self._texts = 0

    @property
    def texts(self) -> int:
        """How many the window holds."""
        return self._texts

    def add(
        self,
        probabilities_BK: npt.NDArray[np.float32],
        tokens_B: npt.NDArray[np.int64],
        unknown_B: npt.NDArray[np.int64],
        rows_N: npt.NDArray[np.int64],
    ) -> None:
        """Take results into the window.

        Args:
            probabilities_BK, tokens_B, unknown_B: of each distinct text.
            rows_N: which of them each result is, in order: a repeat counts as often as it comes.
        """
        window = len(self._tokens_W)
        kept_N = rows_N[-window:]
        places_N = (self._next + np.arange(len(kept_N))) % window
        self._scores_WK[places_N] = bins(probabilities_BK, self.reference.score_edges)[kept_N]
        self._tokens_W[places_N] = tokens_B[kept_N]
        self._unknown_W[places_N] = unknown_B[kept_N]
        self._next = (self._next + len(kept_N)) % window
        self._texts = min(window, self._texts + len(kept_N))

    def distances(self) -> Distances | None:
        """Of the window as it is; None while it holds too little."""
        if self._texts < self._least:
            return None
        reference, texts = self.reference, self._texts
        scores_KS = counted(self._scores_WK[:texts], len(reference.score_edges) + 1)
        lengths_1L = counted(
            bins(self._tokens_W[:texts, None], reference.length_edges), len(reference.length_edges) + 1
        )
        return Distances(
            texts=texts,
            scores_K=stability_index(scores_KS, reference.score_counts_KS),
            length=float(stability_index(lengths_1L, reference.length_counts_L[None])[0]),
            unknown_rate=float(self._unknown_W[:texts].sum() / max(1, self._tokens_W[:texts].sum())),
        )


def stability_index(found_KS: npt.NDArray[np.int64], expected_KS: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The population stability index of each row of counts."""
    p_KS, q_KS = (
        (counts_KS + HALF) / (counts_KS + HALF).sum(axis=1, keepdims=True) for counts_KS in (found_KS, expected_KS)
    )
    index_K: npt.NDArray[np.float64] = ((p_KS - q_KS) * np.log(p_KS / q_KS)).sum(axis=1)
    return index_K
