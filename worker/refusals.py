"""Whether too many records are being refused: then the deployment is at fault, and not they."""

from collections.abc import Sequence

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
        self._steps: Sequence[tuple[int, int]] = ()

    def admit(self, records: int, dead: int) -> None:
        """Look at a step before it is written.

        Raises:
            TooManyDeadLetters: with it there are too many; it is not to be written.
        """
        steps = self._with(records, dead)
        seen, refused = sum(records for records, _ in steps), sum(dead for _, dead in steps)
        if seen >= self._window and refused > self._most * seen:
            raise TooManyDeadLetters(refused, seen, self._most)

    def note(self, records: int, dead: int) -> None:
        """Remember a step that was written: one that is aborted comes again, and would count twice."""
        self._steps = self._with(records, dead)

    def _with(self, records: int, dead: int) -> Sequence[tuple[int, int]]:
        """A step, and as many before it as fill the window; the newest first."""
        steps, seen = [(records, dead)], records
        for step in self._steps:
            if seen >= self._window:
                break
            steps.append(step)
            seen += step[0]
        return steps
