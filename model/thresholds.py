"""Probabilities to labels: one threshold per label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Thresholds:
    """The decision of the model, apart from its weights.

    Attributes:
        labels: label names, in the order of the model's outputs.
        values: a label is given where its probability is at or over its value; each in (0, 1].
        policy: how the values were found (`f1`, `fixed:0.51`).
        data_sha256: of the file they were tuned on; empty where none was.
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
        """The same threshold for every label."""
        return cls(tuple(labels), (value,) * len(labels), f"fixed:{value:g}")

    def decide(self, probabilities_BK: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Which labels each text gets, [B, K]."""
        return decide(probabilities_BK, self.values)


def decide(probabilities_BK: npt.NDArray[np.float32], values: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Which labels each text gets by a threshold for each label, [B, K]."""
    return probabilities_BK >= np.asarray(values, dtype=np.float32)
