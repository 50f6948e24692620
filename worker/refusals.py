"""Whether too many records are being refused: then the deployment is at fault, and not they."""

from collections import deque

from .errors import TooManyDeadLetters


class RefusalLimit:
    """The share of dead letters among the last records.

    Args:
        most: the highest share that is let through; 1 is no limit.
        window: how many records it is taken of; before so many have come, nothing is refused.
    """

    def __init__(self, *, most: float, window: int) -> None:
        self._most = most
        self._window = window
        self._steps: deque[tuple[int, int]] = deque()
        self._records = 0
        self._dead = 0

    def admit(self, records: int, dead: int) -> None:
        """Take a step into account before it is written.

        Raises:
            TooManyDeadLetters: with it there are too many; it is not to be written.
        """
        self._steps.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._steps[0][0] >= self._window:
            gone, gone_dead = self._steps.popleft()
            self._records -= gone
            self._dead -= gone_dead
        if self._records >= self._window and self._dead > self._most * self._records:
            raise TooManyDeadLetters(self._dead, self._records, self._most)
