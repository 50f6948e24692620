"""Who is faster, on a machine whose speed drifts: each runs once a round, and ratios are taken round by round."""

import statistics
import time
from collections.abc import Callable, Mapping

Rates = dict[str, list[float]]
"""Per contender its rates, round by round."""

PAUSE_S = 0.3
"""Between two contenders: threads of the one before may spin for a fifth of a second once their work is done."""


def interleave(contenders: Mapping[str, Callable[[], float]], *, rounds: int, pause_s: float = PAUSE_S) -> Rates:
    """Run every contender once a round.

    Args:
        contenders: by name; each does its work and returns its rate, by its own clock.

    Returns:
        The rates. Each round begins one contender further on, so that none always runs behind the same other.
    """
    names = list(contenders)
    rates: Rates = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names) if names else 0
        for name in names[shift:] + names[:shift]:
            time.sleep(pause_s)
            rates[name].append(contenders[name]())
    return rates


def median_ratio(rates: list[float], to: list[float]) -> float:
    """Median over the rounds of one's rate over the other's in the same round."""
    return statistics.median(mine / other for mine, other in zip(rates, to, strict=True))
