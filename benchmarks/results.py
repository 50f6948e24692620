"""The results of a run: the rows of the tables, and the goals they are compared with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Budget:
    """The time that a table may take: minutes, or seconds for a quick run, whose figures are too noisy to quote."""

    quick: bool


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        table: its section, a key of `report.HEADINGS`.
        name: the competitor or the measurement, in words for a reader.
        value: the median of the repeats.
        unit: `texts/s`, `messages/s`, `µs/message`, `ms`, `s`, `MB`, …
        low, high: least and greatest of the repeats.
        ratio: median of the ratios, repeat by repeat, to the row named *against*.
        ratio_low, ratio_high: its bootstrap interval; None if there were too few repeats.
    """

    table: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    ratio: float | None = None
    against: str = ""
    note: str = ""
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True)
class PerformanceGoal:
    """A goal for speed or memory, and the measured value.

    Attributes:
        name: as the table of goals shows it.
        measured: None if it cannot be measured on this machine.
        least: the required value.
        goal: the value to aim for.
        why: the reason, with figures, if the goal is missed or not measured.
        low, high: the bootstrap interval of a measured ratio; None if it has none.
    """

    name: str
    measured: float | None
    least: float
    goal: float
    higher_is_better: bool
    why: str = ""
    low: float | None = None
    high: float | None = None

    def reaches(self, bound: float) -> bool:
        """Return True if the measured value is at least as good as *bound*; False if nothing was measured."""
        if self.measured is None:
            return False
        return self.measured >= bound if self.higher_is_better else self.measured <= bound

    @property
    def verdict(self) -> str:
        """One of `met`, `least met`, `missed` and `not measurable`."""
        if self.measured is None:
            return "not measurable"
        return "met" if self.reaches(self.goal) else "least met" if self.reaches(self.least) else "missed"


@dataclass(frozen=True)
class Report:
    """The results of one table.

    Attributes:
        missing: each competitor that could not run, with the cause: `ctranslate_int8: No module named 'ctranslate2'`.
    """

    rows: list[Row]
    goals: list[PerformanceGoal]
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """One run of the benchmarks.

    Attributes:
        machine: as `benchmarks.machine.describe` returns it.
        command: repeats the run on your machine.
    """

    machine: Mapping[str, Any]
    command: str
    rows: Sequence[Row]
    goals: Sequence[PerformanceGoal]
    missing: Sequence[str]

    def table(self, name: str) -> list[Row]:
        """Return the rows of one section, in the order they were measured."""
        return [row for row in self.rows if row.table == name]


def save(results: Results, path: Path) -> None:
    """Write *results* as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read the results that `save` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Results(
        machine=values["machine"],
        command=values["command"],
        rows=[Row(**row) for row in values["rows"]],
        goals=[PerformanceGoal(**goal) for goal in values["goals"]],
        missing=values["missing"],
    )
