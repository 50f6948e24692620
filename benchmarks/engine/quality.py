"""The quality of a competitor: how far its probabilities are from the reference's, and the macro F1 that it loses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emotag_training.evaluation.metrics import cross_validate_macro_f1

from .competitors import Probabilities

COMPARABLE = 0.002
"""The macro F1 that a competitor may lose and still be comparable. The deviation over splits of dev is 0.003."""


@dataclass(frozen=True)
class Quality:
    """A competitor's probabilities, compared with the reference's.

    Attributes:
        difference: the largest difference of a probability.
        macro_f1: by repeated 2-fold cross-validation: thresholds are tuned on the reference's probabilities of one half
            of the texts and applied to the other half. Thresholds tuned on the same texts would fit the reference's
            probabilities to the last digit and count any rounding as a loss. None if the texts have no labels.
        lost: macro F1 of the reference minus `macro_f1`.
    """

    difference: float
    macro_f1: float | None
    lost: float | None

    @property
    def comparable(self) -> bool:
        """True if its speed may be compared. Without labels: if no probability differs by 0.01 or more."""
        return self.difference < 0.01 if self.lost is None else self.lost <= COMPARABLE

    def __str__(self) -> str:
        f1 = "" if self.macro_f1 is None else f"macro F1 {self.macro_f1:.4f}, "
        return f"{f1}probabilities within {self.difference:.1g}"


def judge_quality(
    measured_NK: Probabilities, reference_NK: Probabilities, targets_NK: npt.NDArray[np.float32] | None
) -> Quality:
    """Compare probabilities with the reference's of the same texts."""
    difference = float(np.abs(measured_NK - reference_NK).max())
    if targets_NK is None:
        return Quality(difference, None, None)
    macro_f1, _ = cross_validate_macro_f1(reference_NK, targets_NK, scored_NK=measured_NK)
    reference, _ = cross_validate_macro_f1(reference_NK, targets_NK)
    return Quality(difference, macro_f1, reference - macro_f1)
