"""Whether two ways to run the model say the same: how far probabilities are apart, and what it costs in macro F1."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.thresholds import Thresholds
from training.metrics import macro_f1

from .rivals import Probabilities

COMPARABLE = 0.002
"""Macro F1 that a way to run the model may lose and still be compared: half the spread between two halves of dev."""


@dataclass(frozen=True)
class Quality:
    """One way's answers beside the reference's.

    Attributes:
        difference: the largest of any probability.
        macro_f1: at the artifact's thresholds; None where nobody rated the texts.
        lost: macro F1 below the reference's; negative where it is above.
    """

    difference: float
    macro_f1: float | None
    lost: float | None

    @property
    def comparable(self) -> bool:
        """Whether its speed may be compared. Without ratings, whether no probability moves by more than a hundredth."""
        return self.difference < 0.01 if self.lost is None else self.lost <= COMPARABLE

    def __str__(self) -> str:
        f1 = "" if self.macro_f1 is None else f"macro F1 {self.macro_f1:.4f}, "
        return f"{f1}probabilities within {self.difference:.1g}"


def judge(
    found_NK: Probabilities,
    reference_NK: Probabilities,
    thresholds: Thresholds,
    targets_NK: npt.NDArray[np.float32] | None,
) -> Quality:
    """Set *found_NK* beside the reference's probabilities of the same texts."""
    difference = float(np.abs(found_NK - reference_NK).max())
    if targets_NK is None:
        return Quality(difference, None, None)
    mine = macro_f1(thresholds.decide(found_NK), targets_NK)
    return Quality(difference, mine, macro_f1(thresholds.decide(reference_NK), targets_NK) - mine)
