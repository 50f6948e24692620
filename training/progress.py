"""What watches a run: the terminal, and where asked for a tracker, told of every step and every epoch."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY_STEPS = 20
"""How often a tracker is told of the loss: of a hundred thousand steps nobody looks at each."""


class TrackerMissing(Exception):
    """A tracker that is unknown or not installed, and what to do about it."""


class Progress(Protocol):
    """What is told: the loss of every step, the dev figures of every epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None: ...


class Watchers:
    """Several as one."""

    def __init__(self, watchers: Sequence[Progress] = ()) -> None:
        self._watchers = watchers

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        for watcher in self._watchers:
            watcher.step(epoch, step, steps, loss)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.epoch(epoch, step, figures)


class Screen:
    """A progress bar on a terminal; one line an epoch everywhere."""

    def __init__(self, console: Console, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("training", total=None, loss="")
        self._loss: float | None = None  # of a run that goes on, none yet

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        self._bar.update(self._task, completed=step, total=steps, loss=f"epoch {epoch}, loss {self._loss:.4f}")

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        self._console.print(f"epoch {epoch}  " + "  ".join(f"{k} {v}" for k, v in figures.items() if k != "epoch"))


class TensorBoard:
    """Event files that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if step % EVERY_STEPS == 0:
            self._writer.add_scalar("train/loss", loss, step)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        for name, value in _numbers(figures).items():
            self._writer.add_scalar(f"epoch/{name}", value, step)
        self._writer.flush()


class MLflow:
    """A run of MLflow, at the tracking server that `MLFLOW_TRACKING_URI` names."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.start_run(run_name=name)
        mlflow.log_params(dict(parameters))

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if step % EVERY_STEPS == 0:
            self._mlflow.log_metric("train_loss_of_step", loss, step=step)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        self._mlflow.log_metrics(_numbers(figures), step=step)

    def close(self, *, failed: bool) -> None:
        """End the run, so that the server does not show it as running for ever."""
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


TRACKERS = ("tensorboard", "mlflow")
"""By the names of their packages too."""


def require(trackers: Sequence[str]) -> None:
    """See that all of them can be had.

    Raises:
        TrackerMissing: one of them is unknown, or not installed.
    """
    for tracker in trackers:
        if tracker not in TRACKERS:
            raise TrackerMissing(f"tracker {tracker!r} is unknown; it takes {' or '.join(TRACKERS)}")
        if importlib.util.find_spec(tracker) is None:
            raise TrackerMissing(f"{tracker} is not installed: pip install 'emotag[trackers]'")


@contextmanager
def watchers(
    console: Console, trackers: Sequence[str], *, out: Path, name: str, parameters: Mapping[str, Any]
) -> Iterator[Watchers]:
    """The terminal and the *trackers* named, which `require` has seen.

    Args:
        out: the run's folder; TensorBoard's files lie in `tensorboard` within.
        name: of the run.
        parameters: the recipe's keys.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    with ExitStack() as stack:
        bar = stack.enter_context(Bar(*columns, console=console, disable=not console.is_terminal))
        watching: list[Progress] = [Screen(console, bar)]
        for tracker in dict.fromkeys(trackers):
            if tracker == "tensorboard":
                watching.append(TensorBoard(out / "tensorboard"))
            else:
                run = MLflow(name, parameters)
                stack.push(lambda kind, error, at, run=run: run.close(failed=kind is not None))
                watching.append(run)
        yield Watchers(watching)


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if name != "epoch"}
