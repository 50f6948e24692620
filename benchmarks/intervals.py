"""The uncertainty of a ratio: a bootstrap interval over the rounds in which both values were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
"""Fixed, so that the same rounds always have the same interval."""

LEAST_ROUNDS = 3
"""With fewer rounds, a resample is nearly always one of the rounds, and the interval would only look certain."""


@dataclass(frozen=True)
class Interval:
    """The values that a median plausibly has, from *low* to *high*."""

    low: float
    high: float

    @property
    def is_tie(self) -> bool:
        """True if neither side of a ratio is proven faster: the interval contains 1."""
        return self.low <= 1.0 <= self.high


def bootstrap_median(values: Sequence[float]) -> Interval | None:
    """Return the percentile bootstrap interval of the median of *values*; None for fewer than `LEAST_ROUNDS`.

    For a ratio, pass the ratio of each round: pairs stay together, so a machine that is slow for both does not matter.
    """
    if len(values) < LEAST_ROUNDS:
        return None
    measured = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(SEED)
    medians = np.median(rng.choice(measured, size=(RESAMPLES, len(measured))), axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Interval(float(low), float(high))
