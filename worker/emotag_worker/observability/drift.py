"""The distance of recent texts and their scores from those that the model was measured on.

The distance is the population stability index: with the shares p of the window and q of the reference in each bin,

    PSI = Σ (p - q) ln(p / q)

which is the symmetric divergence of Jeffreys (Proc. R. Soc. A 186, 1946; also Kullback and Leibler, 1951) over bins.
The usual reading (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006): below 0.1 no shift, above 0.25 a shift. Without
any shift, the expected value is about (bins - 1) (1 / window + 1 / reference) (B. Yurdakul, "Statistical Properties of
Population Stability Index", Western Michigan University 2018): 0.011 for 10 bins, a window of 1,000 and a reference of
5,000 texts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emotag_model.reference_stats import ReferenceStats, assign_bins, count_bins

WINDOW = 10_000
"""Number of recent results that are compared."""

LEAST = 1_000
"""Fewest results for a comparison: with fewer, chance alone would look like drift."""

HALF = 0.5
"""Added to each count, so that an empty bin has a logarithm (the Krichevsky-Trofimov estimate)."""


@dataclass(frozen=True)
class Distances:
    """The distances of a window from the reference.

    Attributes:
        texts: number of results in the window.
        scores_K, length: population stability index of each label's scores and of the tokens per text.
        unknown_rate: share of tokens that are not in the vocabulary.
    """

    texts: int
    scores_K: npt.NDArray[np.float64]
    length: float
    unknown_rate: float


class Drift:
    """A window of recent results and the reference that it is compared with."""

    def __init__(self, reference: ReferenceStats, *, window: int = WINDOW, least: int = LEAST) -> None:
        self.reference = reference
        self._least = least
        # Ring buffers: bins of scores, tokens, unknown tokens.
        self._scores_WK = np.zeros((window, len(reference.score_counts_KE)), np.uint8)
        self._tokens_W = np.zeros(window, np.int32)
        self._unknown_W = np.zeros(window, np.int32)
        self._next = 0
        self._texts = 0

    @property
    def texts(self) -> int:
        """Number of results in the window."""
        return self._texts

    def add(
        self,
        probabilities_BK: npt.NDArray[np.float32],
        tokens_B: npt.NDArray[np.int64],
        unknown_B: npt.NDArray[np.int64],
        rows_N: npt.NDArray[np.int64],
    ) -> None:
        """Add results to the window.

        Args:
            probabilities_BK, tokens_B, unknown_B: scores, tokens and unknown tokens of each distinct text.
            rows_N: for each result, in order, the row of its text. A repeated text counts each time.
        """
        window = len(self._tokens_W)
        kept_N = rows_N[-window:]
        places_N = (self._next + np.arange(len(kept_N))) % window
        self._scores_WK[places_N] = assign_bins(probabilities_BK, self.reference.score_edges)[kept_N]
        self._tokens_W[places_N] = tokens_B[kept_N]
        self._unknown_W[places_N] = unknown_B[kept_N]
        self._next = (self._next + len(kept_N)) % window
        self._texts = min(window, self._texts + len(kept_N))

    def measure_distances(self) -> Distances | None:
        """Return the distances of the current window; None while the window has too few results."""
        if self._texts < self._least:
            return None
        reference, texts = self.reference, self._texts
        scores_KE = count_bins(self._scores_WK[:texts], len(reference.score_edges) + 1)
        lengths_1E = count_bins(
            assign_bins(self._tokens_W[:texts, None], reference.length_edges), len(reference.length_edges) + 1
        )
        return Distances(
            texts=texts,
            scores_K=compute_stability_index(scores_KE, reference.score_counts_KE),
            length=float(compute_stability_index(lengths_1E, reference.length_counts_E[None])[0]),
            unknown_rate=float(self._unknown_W[:texts].sum() / max(1, self._tokens_W[:texts].sum())),
        )


def compute_stability_index(
    found_KS: npt.NDArray[np.int64], expected_KS: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the population stability index of each row of counts."""
    p_KS, q_KS = (
        (counts_KS + HALF) / (counts_KS + HALF).sum(axis=1, keepdims=True) for counts_KS in (found_KS, expected_KS)
    )
    index_K: npt.NDArray[np.float64] = ((p_KS - q_KS) * np.log(p_KS / q_KS)).sum(axis=1)
    return index_K
