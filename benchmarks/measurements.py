"""Values measured round by round. Ratios are taken within a round, because the speed of a machine drifts."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from .intervals import Interval, bootstrap_median
from .results import PerformanceGoal, Row

PAUSE_S = 0.3
"""Pause between two competitors: threads of the previous one may spin for a fifth of a second after its work."""


class Measurements:
    """The values of each competitor, round by round.

    Args:
        table: the section of the rows.
        unit: of the values.
    """

    def __init__(self, table: str, unit: str) -> None:
        self._table = table
        self._unit = unit
        self._values: dict[str, dict[int, float]] = {}

    def add(self, name: str, number: int, value: float) -> None:
        """Record the *value* of *name* in round *number*."""
        self._values.setdefault(name, {})[number] = value

    def interleave(
        self, competitors: Mapping[str, Callable[[], float]], *, rounds: int, pause_s: float = PAUSE_S
    ) -> None:
        """Run every competitor once per round; each returns its rate by its own clock."""
        for number in range(rounds):
            for name in rotate(list(competitors), number):
                time.sleep(pause_s)
                self.add(name, number, competitors[name]())

    def drop(self, name: str) -> None:
        """Delete the values of a competitor that failed: part of a measurement is not a measurement."""
        self._values.pop(name, None)

    def names(self) -> list[str]:
        """Return every competitor with a value, in the order of their first values."""
        return list(self._values)

    def values(self, name: str) -> list[float]:
        """Return the values of *name* in the order they were measured."""
        return list(self._values[name].values())

    def median(self, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values(name))

    def ratio(self, name: str, to: str) -> float:
        """Return the median of *name*'s ratios to *to* in the same round."""
        return statistics.median(self.ratios(name, to))

    def interval(self, name: str, to: str) -> Interval | None:
        """Return the bootstrap interval of `ratio`; None after too few rounds."""
        return bootstrap_median(self.ratios(name, to))

    def compare(self, goal: str, name: str, to: str, *, least: float, wanted: float, why: str) -> PerformanceGoal:
        """Return the goal of that name for *name*'s ratio to *to*, with the ratio's interval."""
        interval = self.interval(name, to)
        return PerformanceGoal(
            goal,
            self.ratio(name, to),
            least,
            wanted,
            higher_is_better=True,
            why=why,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
        )

    def ratios(self, name: str, to: str) -> list[float]:
        """Return *name*'s ratio to *to* in each round that has both."""
        mine, others = self._values[name], self._values[to]
        return [mine[number] / others[number] for number in mine if number in others]

    def rows(self, *, against: str | Mapping[str, str], notes: Mapping[str, str]) -> list[Row]:
        """Return one row per competitor, with ratios to *against* if that was measured.

        Args:
            against: one name for all rows, or the name for each row; a row without a name has no ratio.
        """
        return [
            self._row(name, against if isinstance(against, str) else against.get(name, ""), notes.get(name, ""))
            for name in self._values
        ]

    def _row(self, name: str, against: str, note: str) -> Row:
        values, known = self.values(name), against in self._values and name != against
        interval = self.interval(name, against) if known else None
        return Row(
            table=self._table,
            name=name,
            value=self.median(name),
            unit=self._unit,
            low=min(values),
            high=max(values),
            ratio=self.ratio(name, against) if known else None,
            against=against if known else "",
            note=note,
            ratio_low=interval.low if interval else None,
            ratio_high=interval.high if interval else None,
        )


def rotate(names: Sequence[str], number: int) -> list[str]:
    """Return *names* rotated by *number* places, so that no competitor always runs after the same other."""
    shift = number % len(names) if names else 0
    return [*names[shift:], *names[:shift]]
