"""A circuit breaker: it skips calls to a server that fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Breaker:
    """A circuit breaker: after a failure, it blocks calls for a pause that doubles with each further failure.

    Attributes:
        shortest_s, longest_s: the first and the longest pause. The longest limits both the cost of a broken cache (one
            timeout per pause) and the delay until the worker notices a repaired one.
    """

    shortest_s: float = 0.25
    longest_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    _open_until: float = 0.0

    def is_open(self) -> bool:
        """Return True if calls must be skipped."""
        return self.clock() < self._open_until

    def record_failure(self) -> float:
        """Open the breaker, and return the length of the pause in seconds."""
        pause_s = min(self.longest_s, self.shortest_s * 2.0**self.failures)
        self.failures += 1
        self._open_until = self.clock() + pause_s
        return pause_s

    def record_success(self) -> bool:
        """Close the breaker; return True if there were failures before."""
        recovered = self.failures > 0
        self.failures = 0
        self._open_until = 0.0
        return recovered
