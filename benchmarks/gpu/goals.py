"""The goals for a GPU, with the measured values of the newest recorded run."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.results import PerformanceGoal, Results, Row

ENGINE = "on an H200-class GPU, DistilBERT dimensions, 20-token texts, engine, tokens/s"
WORKER = "the same, host and device in one process without a broker, texts/s"
LARGE = "DistilBERT's size, 66 M, random weights"
SHORT_TOKENS = 20
SHORT = f"{SHORT_TOKENS}-token texts"
NOT_MEASURED = "no run on a GPU is recorded; run `python -m benchmarks.gpu` on a machine with one"


def compute_goals(rows: Sequence[Row], where: str = "") -> list[PerformanceGoal]:
    """Return both goals from the rows of one run.

    Args:
        where: the machine, for the reason that each goal shows.
    """
    engine = [row.value for row in rows if row.unit == "tokens/s" and row.name == f"{LARGE}, {SHORT}"]
    worker = [row.value for row in rows if row.unit == "messages/s" and row.name.startswith(LARGE)]
    why = "the host's side of the stream could not run there; " * (not worker) + where
    return [
        PerformanceGoal(ENGINE, max(engine, default=None), 3e6, 6e6, higher_is_better=True, why=where),
        PerformanceGoal(WORKER, max(worker, default=None), 40_000, 100_000, higher_is_better=True, why=why.strip("; ")),
    ]


def load_newest(folder: Path = results.FOLDER) -> Results | None:
    """Return the newest recorded run on a GPU; None if no run is recorded."""
    runs = [results.load(path) for path in folder.glob("gpu-*.json")]
    return max(
        (run for run in runs if run.machine["device"] != "cpu"),
        key=lambda run: str(run.machine["date"]),
        default=None,
    )


def load_goals(folder: Path = results.FOLDER) -> list[PerformanceGoal]:
    """Return the goals of the newest recorded run on a GPU. Each names its machine: other goals have another one."""
    run = load_newest(folder)
    if run is None:
        return [
            PerformanceGoal(goal.name, None, goal.least, goal.goal, higher_is_better=True, why=NOT_MEASURED)
            for goal in compute_goals([])
        ]
    described = run.machine
    where = f"measured on {described['device']}, {described['date'][:10]}, commit {described['commit'] or 'unknown'}"
    return compute_goals(run.rows, where)
