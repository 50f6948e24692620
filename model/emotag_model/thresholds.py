"""From probabilities to labels: one threshold per label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Thresholds:
    """One threshold per label; a text gets a label if its probability reaches the threshold.

    Attributes:
        labels: label names, in the order of the model's outputs.
        values: a text gets a label if the label's probability is at or over its value; each in (0, 1].
        policy: the rule that chose the values (`f1`, `fixed:0.51`).
        data_sha256: the hash of the file they were tuned on; empty if unknown.
    """

    labels: tuple[str, ...]
    values: tuple[float, ...]
    policy: str
    data_sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.values):
            raise ValueError(f"{len(self.values)} thresholds for {len(self.labels)} labels")
        wrong = [
            f"{label}={value}" for label, value in zip(self.labels, self.values, strict=True) if not 0 < value <= 1
        ]
        if wrong:
            raise ValueError(f"thresholds outside (0, 1]: {', '.join(wrong)}")

    @classmethod
    def fixed(cls, labels: Sequence[str], value: float) -> "Thresholds":
        """Return the same threshold for every label."""
        return cls(tuple(labels), (value,) * len(labels), f"fixed:{value:g}")

    def decide(self, probabilities_BK: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return True for each label that a text gets, [B, K]."""
        return decide(probabilities_BK, self.values)


def decide(probabilities_BK: npt.NDArray[np.float32], values: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Return True for each label whose probability is at or over its threshold, [B, K].

    A threshold of 1 means never: rounded, the probability of a label that is nearly certain can be 1.
    """
    values_K = np.asarray(values, dtype=np.float32)
    decided_BK: npt.NDArray[np.bool_] = (probabilities_BK >= values_K) & (values_K < 1)
    return decided_BK
