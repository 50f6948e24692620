"""What was promised on a GPU, beside what `gpu.py` measured there."""

from collections.abc import Sequence
from pathlib import Path

from . import results
from .results import Goal, Results, Row

ENGINE = "on an H200-class GPU, DistilBERT dimensions, 20-token texts, engine, tokens/s"
WORKER = "the same, whole worker on one host process, texts/s"
LARGE = "DistilBERT's size, 66 M, random weights"
SHORT_TOKENS = 20
SHORT = f"{SHORT_TOKENS}-token texts"
TO_DO = "no GPU was measured yet; `python benchmarks/gpu.py` does it, on a machine with one"


def goals(rows: Sequence[Row], where: str = "") -> list[Goal]:
    """Both goals, from the rows of one run on one GPU."""
    engine = [row.value for row in rows if row.unit == "tokens/s" and row.name == f"{LARGE}, {SHORT}"]
    worker = [row.value for row in rows if row.unit == "messages/s" and row.name.startswith(LARGE)]
    why = "the host's side of the stream could not run there; " * (not worker) + where
    return [
        Goal(ENGINE, max(engine, default=None), 3e6, 6e6, higher_is_better=True, why=where),
        Goal(WORKER, max(worker, default=None), 40_000, 100_000, higher_is_better=True, why=why.strip("; ")),
    ]


def newest(folder: Path = results.FOLDER) -> Results | None:
    """The newest recorded run on a GPU."""
    runs = [results.load(path) for path in folder.glob("gpu-*.json")]
    return max(
        (run for run in runs if run.machine["device"] != "cpu"),
        key=lambda run: str(run.machine["date"]),
        default=None,
    )


def recorded(folder: Path = results.FOLDER) -> list[Goal]:
    """The goals by the newest recorded run on a GPU: another machine's than the other goals', and it says which."""
    run = newest(folder)
    if run is None:
        return [Goal(goal.name, None, goal.least, goal.goal, higher_is_better=True, why=TO_DO) for goal in goals([])]
    found = run.machine
    where = f"measured on {found['device']}, {found['date'][:10]}, commit {found['commit'] or 'unknown'}"
    return goals(run.rows, where)
