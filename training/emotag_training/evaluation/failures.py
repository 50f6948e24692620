"""The worst mistakes of a model: the labels that it is surest of and that its annotators did not give, and the reverse.

Only GoEmotions' own dev is shown: its comments are public (CC BY 4.0) and its names are masked. A card is published
with the texts in it. Texts of any other data belong to their owner, and are never written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emotag_model.thresholds import decide
from emotag_training.data.goemotions import is_dev
from emotag_training.data.split import Split

from .metrics import Floats

OF_EACH_KIND = 4
MOST_CHARACTERS = 120


def find_failures(split: Split, probabilities_NK: Floats, thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """Return the given labels with the highest probability that are wrong; then the missed ones with the lowest.

    `OF_EACH_KIND` of both; every text once, and every label once, so that they differ; none of a text longer than
    `MOST_CHARACTERS`. Empty if the texts are not GoEmotions' own dev.

    Args:
        probabilities_NK: as `predict` gives them for *split*.

    Returns:
        For each: the text, its annotators' labels, the predicted labels with their probabilities, and the label
        that was wrong or missed with its probability.
    """
    if not is_dev(split.sha256, split.labels):
        return []
    given_NK = decide(probabilities_NK, thresholds)
    truth_NK = split.targets_NK.astype(bool)
    short_N = np.array([len(text) <= MOST_CHARACTERS for text in split.texts], dtype=bool)
    found: list[dict[str, Any]] = []
    for mistake, wrong_NK, surest in (("given", given_NK & ~truth_NK, -1), ("missed", truth_NK & ~given_NK, 1)):
        rows, columns = np.nonzero(wrong_NK & short_N[:, None])
        worst_first = np.argsort(surest * probabilities_NK[rows, columns], kind="stable")
        most = len(found) + OF_EACH_KIND
        for row, column in zip(rows[worst_first], columns[worst_first], strict=True):
            text, label = split.texts[row], split.labels[column]
            if any(other["text"] == text or other["label"] == label for other in found):
                continue
            if len(found) == most:
                break
            found.append(
                {
                    "text": text,
                    "annotators": [split.labels[k] for k in np.flatnonzero(truth_NK[row])],
                    "given": {split.labels[k]: _round(probabilities_NK[row, k]) for k in np.flatnonzero(given_NK[row])},
                    "mistake": mistake,
                    "label": label,
                    "probability": _round(probabilities_NK[row, column]),
                }
            )
    return found


def _round(probability: np.float32) -> float:
    return round(float(probability), 4)
