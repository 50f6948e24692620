"""The texts that a model gets most wrong: where it is surest of a label and its raters are not of that opinion.

Of GoEmotions' own dev alone, whose comments are public (CC BY 4.0) and whose names are masked. A card is published,
and with it whatever texts are in it: those of any other data are its owner's, and none of them is ever written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.thresholds import decide

from .data import Split
from .goemotions import is_dev
from .metrics import Floats

OF_EACH_KIND = 4
MOST_CHARACTERS = 120


def of_texts(split: Split, probabilities_NK: Floats, thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """Labels given that the raters did not agree on, of the highest probability; then labels missed, of the lowest.

    `OF_EACH_KIND` of both; every text once, and every label once, so that they differ; none of a text longer than
    `MOST_CHARACTERS`. Empty where the texts are not GoEmotions' own dev.

    Args:
        probabilities_NK: as `predict` gives them for *split*.

    Returns:
        For each: the text, its raters' labels, the labels it was given with their probabilities; and which label was
        given wrongly or missed, with its own.
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
                    "raters": [split.labels[k] for k in np.flatnonzero(truth_NK[row])],
                    "given": {split.labels[k]: _round(probabilities_NK[row, k]) for k in np.flatnonzero(given_NK[row])},
                    "mistake": mistake,
                    "label": label,
                    "probability": _round(probabilities_NK[row, column]),
                }
            )
    return found


def _round(probability: np.float32) -> float:
    return round(float(probability), 4)
