"""Whether two ways to run the model say the same: how far probabilities are apart, and what it costs in macro F1."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.metrics import cross_fitted_macro_f1

from .rivals import Probabilities

COMPARABLE = 0.002
"""Macro F1 that a way to run the model may lose and still be compared; its deviation over halvings of dev is 0.003."""


@dataclass(frozen=True)
class Quality:
    """One way's answers beside the reference's.

    Attributes:
        difference: the largest of any probability.
        macro_f1: of one half of the texts, by thresholds tuned on the reference's probabilities of the other; both
            ways, twenty halvings. Thresholds that were tuned on the very texts fit the reference's to the last digit,
            and would count any rounding as a loss. None where nobody rated the texts.
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


def judge(found_NK: Probabilities, reference_NK: Probabilities, targets_NK: npt.NDArray[np.float32] | None) -> Quality:
    """Set *found_NK* beside the reference's probabilities of the same texts."""
    difference = float(np.abs(found_NK - reference_NK).max())
    if targets_NK is None:
        return Quality(difference, None, None)
    mine, _ = cross_fitted_macro_f1(reference_NK, targets_NK, scored_NK=found_NK)
    reference, _ = cross_fitted_macro_f1(reference_NK, targets_NK)
    return Quality(difference, mine, reference - mine)
