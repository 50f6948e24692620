"""Rates round by round, and the rows they become: ratios are taken within a round, since a machine's speed drifts."""

import statistics
from collections.abc import Mapping

from .results import Row


class Tally:
    """What was measured of each contestant, round by round.

    Args:
        table: the section its rows stand in.
        unit: of what is measured.
    """

    def __init__(self, table: str, unit: str) -> None:
        self._table = table
        self._unit = unit
        self._values: dict[str, dict[int, float]] = {}

    def add(self, name: str, number: int, value: float) -> None:
        """What *name* reached in round *number*."""
        self._values.setdefault(name, {})[number] = value

    def drop(self, name: str) -> None:
        """Forget one that failed: half a measurement is none."""
        self._values.pop(name, None)

    def names(self) -> list[str]:
        """Everybody with a value, in the order they first had one."""
        return list(self._values)

    def median(self, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(self._values[name].values())

    def ratio(self, name: str, to: str) -> float:
        """The median of *name*'s ratios to *to* in the same round."""
        mine, others = self._values[name], self._values[to]
        return statistics.median(mine[number] / others[number] for number in mine if number in others)

    def rows(self, *, against: str, notes: Mapping[str, str]) -> list[Row]:
        """One row each; ratios to *against*, where it was measured."""
        rows = []
        for name, values in self._values.items():
            known = against in self._values and name != against
            rows.append(
                Row(
                    table=self._table,
                    name=name,
                    value=self.median(name),
                    unit=self._unit,
                    low=min(values.values()),
                    high=max(values.values()),
                    ratio=self.ratio(name, against) if known else None,
                    against=against if known else "",
                    note=notes.get(name, ""),
                )
            )
        return rows
