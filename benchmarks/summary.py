"""The figures of a full run that the project's README quotes."""

from dataclasses import dataclass
from pathlib import Path

from . import results
from .engine import goals
from .engine.competitors import plain_torch
from .report import format_interval, format_number
from .results import Results, Row

LATEST = results.FOLDER / "latest.json"

NOT_SHOWN = (plain_torch.NAME, "plain torch")
"""The names of that row, now and in runs until November 2026."""


@dataclass(frozen=True)
class Headline:
    """The figures that the README quotes, as it writes them.

    Attributes:
        cores: of the machine.
        texts_per_s: emotag's engine, from tokens.
        times_library, library: ratio to the fastest other library, and its name.
        interval: of that ratio, `1.31 to 1.45`; empty if the run has none.
        messages_per_s: a worker with a cold cache, exactly once.
    """

    cores: str
    texts_per_s: str
    times_library: str
    library: str
    interval: str
    messages_per_s: str


def load_headline(path: Path = LATEST) -> Headline:
    """Return the figures of the last full run.

    Raises:
        StopIteration: the run has no such row or goal.
    """
    run = results.load(path)
    engine = next(row for row in run.table("engine") if row.name == "emotag")
    worker = next(row for row in run.table("stream") if row.name == "emotag run, exactly once, cold cache")
    library = next(goal for goal in run.goals if goal.name.startswith(goals.LIBRARIES) and goal.measured is not None)
    assert library.measured is not None
    return Headline(
        cores=f"{run.machine['cores']}",
        texts_per_s=format_number(engine.value),
        times_library=format_number(library.measured),
        library=library.why.removeprefix("the best is ").partition(",")[0],
        interval=format_interval(library.low, library.high, tie=False).strip(" ()"),
        messages_per_s=format_number(worker.value),
    )


def select_rows(run: Results) -> list[Row]:
    """Return the rows of the summary's chart: the fastest of each library, in the order of the table.

    The way of the reference's notebook is no library, and a bar that short would make all others look alike.
    """
    fastest: dict[str, Row] = {}
    for row in run.table("engine"):
        library = row.name.partition(",")[0]
        if row.name in NOT_SHOWN:
            continue
        if row.unit == "texts/s" and (library not in fastest or row.value > fastest[library].value):
            fastest[library] = row
    return list(fastest.values())
