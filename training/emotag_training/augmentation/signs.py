"""The meaning of each emoji and emoticon: the labels of a text with it, from the table and from the training texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from emotag_training.data.split import Split

from .meanings import GENDERS, MEANINGS, TONES, list_emoji

Floats = npt.NDArray[np.float32]

BELIEF, MOST_TEXTS = 40, 10
"""The table has the weight of 40 training texts. At most 10 training texts with a sign are counted, because their
labels also come from their words."""

FEWEST_TEXTS = 5
"""A sign that the table does not have needs this many training texts."""

GIVEN = (0.75, 0.6, 0.5, 0.45)
"""For a sign with n labels in the table, GIVEN[n - 1] is the assumed share of its texts that have each of them."""

NOT_GIVEN = 0.5
"""The assumed share of any other label, as a fraction of its share in all texts."""

RAISED, LOWERED = 2.0, 4.0
"""The most that a sign raises and lowers the logit of a label."""

SIGN_WEIGHT = 0.8
"""The weight of a sign next to a text that has an emotion for certain.

The annotators of GoEmotions give a sign less weight: 24 % of the training texts with 😂 have `amusement`, and most have
only the emotion of their words. Here the sign counts, because its writer chose it.
"""

LEAST = 0.003
"""Targets are kept this far from 0 and 1, where their logits are infinite."""


@dataclass(frozen=True)
class Signs:
    """Signs and their shares of labels.

    Attributes:
        shares: by sign, the share of texts with it that have each label, [K].
        counts: by sign, the number of training texts with it.
        rates_K: the share of all texts that have each label.
        drawn: for each label of the table, its signs, the clearest first.
        neutral: the column of `neutral`; None if the data set has no such label.
    """

    shares: Mapping[str, Floats]
    counts: Mapping[str, int]
    rates_K: Floats
    drawn: Mapping[int, Sequence[str]]
    neutral: int | None

    @classmethod
    def of(cls, annotated: Split) -> Self:
        """Return the signs for a data set.

        Args:
            annotated: the training texts with the annotators' labels.
        """
        columns = {label: column for column, label in enumerate(annotated.labels)}
        rates_K = np.clip(annotated.targets_NK.mean(axis=0), LEAST, 1 - LEAST)
        drawn = {columns[label]: signs.split() for label, signs in MEANINGS.items() if label in columns}
        labels: dict[str, list[int]] = {}
        for column, signs in drawn.items():
            for sign in signs:
                labels.setdefault(sign, []).append(column)
        shares, counts = {}, {}
        unlike_ascii = [row for row, text in enumerate(annotated.texts) if not text.isascii()]
        for sign in {*labels, *list_emoji()} - {*TONES, *GENDERS}:
            searched = range(len(annotated)) if sign.isascii() else unlike_ascii
            rows = [row for row in searched if sign in annotated.texts[row]]
            believed_K = rates_K
            if sign in labels:
                believed_K = rates_K * np.float32(NOT_GIVEN)
                believed_K[labels[sign]] = GIVEN[min(len(labels[sign]), len(GIVEN)) - 1]
            elif len(rows) < FEWEST_TEXTS:
                continue
            if rows:
                weight = min(len(rows), MOST_TEXTS) / (BELIEF + min(len(rows), MOST_TEXTS))
                believed_K = (1 - weight) * believed_K + weight * annotated.targets_NK[rows].mean(axis=0)
            shares[sign], counts[sign] = believed_K.astype(np.float32), len(rows)
        return cls(shares, counts, rates_K, drawn, columns.get("neutral"))

    @cached_property
    def known(self) -> Sequence[str]:
        """The signs that say something."""
        return sorted(self.shares)

    @cached_property
    def others(self) -> Sequence[str]:
        """The emoji that say nothing about the labels."""
        return [emoji for emoji in list_emoji() if emoji not in {*self.shares, *TONES, *GENDERS}]

    def shift(self, targets_K: Floats, sign: str) -> Floats:
        """Return the targets of a text after *sign* was added to it.

        The odds of each label are multiplied by a factor that depends on the sign and the label (naive Bayes, limited
        by `RAISED` and `LOWERED`). A label that the sign makes more likely also gets at least the sign's share, times
        the sign's weight. The weight is 1 next to a text without emotions, and `SIGN_WEIGHT` next to one that has an
        emotion for certain. `neutral` is the mean of text and sign, with the same weight.
        """
        if sign not in self.shares:
            return targets_K
        shares_K = self.shares[sign]
        raised = shares_K > self.rates_K
        emotions = np.arange(len(targets_K)) != self.neutral
        open_ = 1 - targets_K[emotions].max(initial=0)
        weight = SIGN_WEIGHT + (1 - SIGN_WEIGHT) * open_
        moved_K = np.clip(_logit(shares_K) - _logit(self.rates_K), -LOWERED, RAISED)
        shifted_K = 1 / (1 + np.exp(-_logit(targets_K) - moved_K))
        mixed_K = (1 - weight) * targets_K + weight * shares_K
        either_K = np.where(raised, np.maximum(shifted_K, weight * shares_K), shifted_K)
        said_K: Floats = np.where(emotions, either_K, mixed_K).astype(np.float32)
        return said_K


def _logit(shares: Floats) -> Floats:
    kept = np.clip(shares, LEAST, 1 - LEAST)
    logits: Floats = np.log(kept / (1 - kept))
    return logits
