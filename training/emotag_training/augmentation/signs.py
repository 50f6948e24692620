"""The meaning of each emoji and emoticon: the labels of a text with it, from the table and from the training texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from emotag_model.spelling.emoji import GENDERS, MEANINGS, TONES
from emotag_training.data.split import Split
from emotag_training.encoders.emoji_tokens import list_emoji

Floats = npt.NDArray[np.float32]

BELIEF, MOST_TEXTS = 20, 10
"""The table has the weight of 20 training texts. At most 10 training texts with a sign are counted, because their
labels also come from their words."""

FEWEST_TEXTS = 5
"""A sign that the table does not have needs this many training texts."""

GIVEN = (0.7, 0.5, 0.4, 0.35)
"""For a sign with n labels in the table, GIVEN[n - 1] is the assumed share of its texts that have each of them."""

NOT_GIVEN = 0.3
"""The assumed share of any other label, as a fraction of its share in all texts."""

LARGEST_SHIFT = 4.0
LEAST = 0.003
"""Targets are kept this far from 0 and 1, where their logits are infinite."""


@dataclass(frozen=True)
class Signs:
    """Signs and their shares of labels.

    Attributes:
        shares: by sign, the share of texts with it that have each label, [K].
        rates_K: the share of all texts that have each label.
        drawn: for each label of the table, its signs, the clearest first.
    """

    shares: Mapping[str, Floats]
    rates_K: Floats
    drawn: Mapping[int, Sequence[str]]

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
        shares = {}
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
            shares[sign] = believed_K.astype(np.float32)
        return cls(shares, rates_K, drawn)

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

        The odds of each label are multiplied by what the sign says about them (naive Bayes: as if text and sign were
        independent, given the labels).
        """
        if sign not in self.shares:
            return targets_K
        moved_K = _logit(self.shares[sign]) - _logit(self.rates_K)
        shifted_K = _logit(targets_K) + np.clip(moved_K, -LARGEST_SHIFT, LARGEST_SHIFT)
        shifted: Floats = (1 / (1 + np.exp(-shifted_K))).astype(np.float32)
        return shifted


def _logit(shares: Floats) -> Floats:
    kept = np.clip(shares, LEAST, 1 - LEAST)
    logits: Floats = np.log(kept / (1 - kept))
    return logits
