"""What was measured: rows of tables, and the goals that they are held against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Budget:
    """How long measuring may take: minutes, or for a quick run seconds, whose figures say little."""

    quick: bool


@dataclass(frozen=True)
class Row:
    """One thing measured.

    Attributes:
        table: the section it stands in (`engine`, `stream`, `stages`, `latency`, `growth`, `start`).
        name: what ran, as a reader would say it.
        value: the median of the repeats.
        unit: `texts/s`, `messages/s`, `µs/message`, `ms`, `s`, `MB`, …
        low, high: least and greatest of the repeats.
        ratio: median of the ratios, repeat by repeat, to the row named *against*.
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


@dataclass(frozen=True)
class Goal:
    """A promise, and what was measured of it.

    Attributes:
        name: the goal table's own words.
        measured: None where this machine cannot tell.
        least: what must be reached.
        goal: what is aimed at.
        why: where it is missed or not measured, the reason, with figures.
    """

    name: str
    measured: float | None
    least: float
    goal: float
    higher_is_better: bool
    why: str = ""

    def reaches(self, bound: float) -> bool:
        """Whether what was measured is as good as *bound*; False where nothing was."""
        if self.measured is None:
            return False
        return self.measured >= bound if self.higher_is_better else self.measured <= bound

    @property
    def verdict(self) -> str:
        """`met`, `least met`, `missed` or `not measurable`."""
        if self.measured is None:
            return "not measurable"
        return "met" if self.reaches(self.goal) else "least met" if self.reaches(self.least) else "missed"


@dataclass(frozen=True)
class Report:
    """What one table's measurement found.

    Attributes:
        missing: what could not run, and why: `infinity-emb: No module named 'infinity_emb'`.
    """

    rows: list[Row]
    goals: list[Goal]
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """One run of the benchmarks.

    Attributes:
        machine: where and with what it ran.
        command: what a reader types to get figures of their own.
    """

    machine: Mapping[str, Any]
    command: str
    rows: Sequence[Row]
    goals: Sequence[Goal]
    missing: Sequence[str]

    def table(self, name: str) -> list[Row]:
        """The rows of one section, in the order they were measured."""
        return [row for row in self.rows if row.table == name]


def save(results: Results, path: Path) -> None:
    """Write *results* as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """What `save` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Results(
        machine=values["machine"],
        command=values["command"],
        rows=[Row(**row) for row in values["rows"]],
        goals=[Goal(**goal) for goal in values["goals"]],
        missing=values["missing"],
    )
