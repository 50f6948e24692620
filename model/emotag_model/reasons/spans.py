"""The spans of a text that carry the score of a label, from the exact sum behind the score.

The classifier reads the largest value of each channel of the convolution, and each value comes from one token. So a
logit is the label's bias plus a sum over tokens, and nothing is estimated:

    logit = bias + sum over tokens of (sum over the channels that are largest there of weight * value)

The term of a token belongs to a window, because the convolution sees its neighbors: 5 tokens for a kernel of size 5.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

SPANS = 3
"""The most spans of a label."""

LEVELS = 65_535
"""Shares are multiples of 1 / 65,535, so that a cache can keep them in 16 bits without a loss."""

STEPS = 4_096
"""Terms are rounded to multiples of 1 / 4,096. Sums of them are exact in float32, so their order does not matter."""

TEXTS = 32
"""Texts of similar length that are weighed together: their arrays fit into the cache of a core."""

START, END, SHARE = range(3)
"""The places of the three numbers of a span."""

Offsets = npt.NDArray[np.int32]
"""For each token of a text its first character and the one after its last, [L, 2]; zeros for special tokens."""

Spans = npt.NDArray[np.uint16]
"""For each text and label up to `SPANS` times the numbers of a span; see `Weigher`."""


class ReasonSpan(NamedTuple):
    """A span of a text that carries the score of a label.

    Attributes:
        start, end: its first character, and the one after its last, in Unicode code points.
        share: its contribution as a share of all contributions that raise the score, above 0 and up to 1.
    """

    start: int
    end: int
    share: float


class Maxima(NamedTuple):
    """The largest value of each channel of the convolution over the tokens of each text, after ReLU.

    Attributes:
        values_BF: the classifier's input.
        positions_BF: the first token that has the value; without meaning if the value is 0.
    """

    values_BF: npt.NDArray[np.float32]
    positions_BF: npt.NDArray[np.int32]

    @classmethod
    def allocate(cls, texts: int, channels: int) -> Self:
        """Return maxima to be filled in."""
        return cls(np.zeros((texts, channels), np.float32), np.zeros((texts, channels), np.int32))

    def fill(self, texts: slice, found: "Maxima") -> None:
        """Copy the maxima of some texts."""
        self.values_BF[texts], self.positions_BF[texts] = found

    def select(self, texts: slice | Sequence[int]) -> "Maxima":
        """Return the maxima of some texts."""
        return Maxima(self.values_BF[texts], self.positions_BF[texts])


def read_reasons(
    spans_S3: Sequence[Sequence[int]], positions: Sequence[int], *, start: int = 0
) -> tuple[ReasonSpan, ...]:
    """Return the spans of one text and label that exist.

    Args:
        positions: from `tokens.original_positions`. Spans beyond them are left out: a cache can contain forged ones.
        start: the first character of the window that the spans are in.
    """
    last = len(positions) - 1 - start
    return tuple(
        ReasonSpan(positions[start + first], positions[start + end], share / LEVELS)
        for first, end, share in spans_S3
        if share and first < end <= last
    )


class Weigher:
    """Finds the spans of each label in texts.

    Args:
        classifier_KF: the weights of the linear layer.
        kernel: places of the convolution's kernel; odd.
    """

    def __init__(self, classifier_KF: npt.NDArray[np.float32], *, kernel: int) -> None:
        self._classifier_KF = classifier_KF * np.float32(STEPS)
        self._reach = kernel // 2

    def __call__(self, maxima: Maxima, offsets: Sequence[Offsets]) -> Spans:
        """Return up to `SPANS` spans per text and label, those with the largest shares first, [B, K, SPANS, 3].

        A span is a start, an end, and a share in steps of 1 / `LEVELS`; a span that does not exist has only zeros. The
        spans of a label do not overlap, and the sum of their shares is at most 1.

        Args:
            offsets: of the tokens of each text.
        """
        found = np.zeros((len(offsets), len(self._classifier_KF), SPANS, 3), np.uint16)
        order = sorted(range(len(offsets)), key=lambda text: len(offsets[text]))
        for first in range(0, len(order), TEXTS):
            texts = order[first : first + TEXTS]
            lengths_B = np.array([len(offsets[text]) for text in texts])
            width = max(2, int(lengths_B[-1]))
            terms_LBK = self._compute_terms(maxima.select(texts), width)
            offsets_BL2 = np.zeros((len(texts), width, 2), np.int32)
            for row, text in enumerate(texts):
                offsets_BL2[row, : len(offsets[text])] = offsets[text]
            windows = _choose_windows(terms_LBK, lengths_B, self._reach)
            found[texts] = _find_characters(*windows, offsets_BL2, lengths_B, self._reach)
        return found

    def _compute_terms(self, maxima: Maxima, width: int) -> npt.NDArray[np.float32]:
        """Return what each token adds to the logit of each label, [L, B, K], in whole steps of 1 / `STEPS`."""
        B, K = len(maxima.values_BF), len(self._classifier_KF)
        terms_BKF = np.rint(maxima.values_BF[:, None, :] * self._classifier_KF)
        places_BKF = maxima.positions_BF[:, None, :] * (B * K) + np.arange(B * K).reshape(B, K, 1)
        sums = np.bincount(places_BKF.ravel(), terms_BKF.ravel(), minlength=B * K * width)
        return sums.reshape(width, B, K).astype(np.float32)


def _choose_windows(
    terms_LBK: npt.NDArray[np.float32], lengths_B: npt.NDArray[np.int64], reach: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the token in the middle of each span, and the share of each span, both [B, K, SPANS].

    A missing span has the share 0. A window is chosen by all terms in it, because a word affects the terms around it.
    """
    L, B, K = terms_LBK.shape
    remaining_LBK = np.maximum(terms_LBK, 0)
    totals_BK = np.maximum(remaining_LBK.sum(axis=0), 1)
    tokens_L11 = np.arange(L, dtype=np.int32)[:, None, None]
    is_word_LB1 = (tokens_L11 > 0) & (tokens_L11 < lengths_B[:, None] - 1)
    open_LBK = np.repeat(is_word_LB1, K, axis=2)
    centers_BKS, shares_BKS = np.zeros((2, B, K, SPANS), np.int64)
    for number in range(SPANS):
        # 1. Take the window whose terms have the largest sum, in which those in its middle count most.
        around_LBK = _add_neighbors(remaining_LBK, reach) * open_LBK
        largest_BK = around_LBK.max(axis=0)
        centers_BK = np.where(around_LBK == largest_BK, tokens_L11, L).min(axis=0)
        window_LBK = (np.abs(tokens_L11 - centers_BK) <= reach) & (largest_BK > 0)
        # 2. The terms inside belong to it, and to no later one.
        inside_LBK = remaining_LBK * window_LBK
        centers_BKS[:, :, number] = centers_BK
        shares_BKS[:, :, number] = inside_LBK.sum(axis=0) * LEVELS / totals_BK  # rounded down: the sum is at most 1
        remaining_LBK -= inside_LBK
        open_LBK &= ~window_LBK
    return centers_BKS, shares_BKS


def _add_neighbors(terms_LBK: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float32]:
    """Return the sum of the terms around each token; a term counts less the farther it is, up to *reach* tokens."""
    summed_LBK = terms_LBK * np.float32(reach + 1)
    for distance in range(1, reach + 1):
        weighted_LBK = terms_LBK * np.float32(reach + 1 - distance)
        summed_LBK[distance:] += weighted_LBK[:-distance]
        summed_LBK[:-distance] += weighted_LBK[distance:]
    return summed_LBK


def _find_characters(
    centers_BKS: npt.NDArray[np.int64],
    shares_BKS: npt.NDArray[np.int64],
    offsets_BL2: Offsets,
    lengths_B: npt.NDArray[np.int64],
    reach: int,
) -> npt.NDArray[np.int64]:
    """Return the spans in characters, [B, K, SPANS, 3], the largest share first, without those of earlier windows."""
    rows_B11 = np.arange(len(lengths_B))[:, None, None]
    # 1. The words of a window are whole, and belong to one span.
    word_firsts_BL, word_lasts_BL = _find_words(offsets_BL2)
    firsts_BKS = word_firsts_BL[rows_B11, np.maximum(centers_BKS - reach, 1)]
    lasts_BKS = word_lasts_BL[rows_B11, np.minimum(centers_BKS + reach, np.maximum(lengths_B - 2, 0)[:, None, None])]
    for later, earlier in ((1, 0), (2, 0), (2, 1)):
        is_left_BK = centers_BKS[:, :, earlier] < centers_BKS[:, :, later]
        after_BK = np.maximum(firsts_BKS[:, :, later], lasts_BKS[:, :, earlier] + 1)
        before_BK = np.minimum(lasts_BKS[:, :, later], firsts_BKS[:, :, earlier] - 1)
        firsts_BKS[:, :, later] = np.where(is_left_BK, after_BK, firsts_BKS[:, :, later])
        lasts_BKS[:, :, later] = np.where(is_left_BK, lasts_BKS[:, :, later], before_BK)
    # 2. A span whose words all belong to earlier ones does not exist.
    shares_BKS = np.where(firsts_BKS <= lasts_BKS, shares_BKS, 0)
    starts_BKS = offsets_BL2[rows_B11, np.minimum(firsts_BKS, offsets_BL2.shape[1] - 1), START]
    ends_BKS = offsets_BL2[rows_B11, np.maximum(lasts_BKS, 0), END]
    shares_BKS = np.where(starts_BKS < ends_BKS, shares_BKS, 0)
    order_BKS = np.argsort(-shares_BKS, axis=2, kind="stable")
    spans_BKS3 = np.stack([starts_BKS, ends_BKS, shares_BKS], axis=3) * (shares_BKS > 0)[:, :, :, None]
    return np.take_along_axis(spans_BKS3, order_BKS[:, :, :, None], axis=2)


def _find_words(offsets_BL2: Offsets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and the last token of the word of each token, [B, L]: they have the same characters."""
    differs_BL = (offsets_BL2[:, 1:] != offsets_BL2[:, :-1]).any(axis=2)
    tokens_L = np.arange(offsets_BL2.shape[1])
    firsts_BL = np.where(np.pad(differs_BL, ((0, 0), (1, 0))), tokens_L, 0)
    lasts_BL = np.where(np.pad(differs_BL, ((0, 0), (0, 1))), tokens_L, tokens_L[-1])
    return (
        np.maximum.accumulate(firsts_BL, axis=1),
        np.minimum.accumulate(lasts_BL[:, ::-1], axis=1)[:, ::-1],
    )
