"""Progress reports: the terminal, and the trackers that the user names."""

import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from emotag_model.errors import explain_install
from emotag_training.errors import TrackerMissing

EVERY_STEPS = 20
"""A tracker receives only the loss of every n-th batch: a plot of a hundred thousand losses is no clearer."""


ESTIMATE_STEPS = 10
"""Batches that are timed before the time of all others is estimated; lengths differ, so fewer would mislead."""


class Progress(Protocol):
    """A receiver of progress: the loss of every batch, the dev figures of every epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None: ...


class Watchers:
    """Several receivers as one."""

    def __init__(self, watchers: Sequence[Progress] = ()) -> None:
        self._watchers = watchers

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        for watcher in self._watchers:
            watcher.step(epoch, step, steps, loss)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.epoch(epoch, step, figures)


class Screen:
    """A progress bar on a terminal, and one line per epoch on any output."""

    def __init__(self, console: Console, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("training", total=None, loss="")
        self._loss: float | None = None  # no loss yet, also in a resumed run
        self._began: tuple[int, float] | None = None

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._estimate(step, steps)
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        self._bar.update(self._task, completed=step, total=steps, loss=f"epoch {epoch}, loss {self._loss:.4f}")

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        shown = "  ".join(f"{name} {value}" for name, value in figures.items() if name != "epoch")
        self._console.print(f"epoch {epoch}  {shown}", soft_wrap=True)  # one line, also in a narrow log

    def _estimate(self, step: int, steps: int) -> None:
        """Print the time that training still needs, once: a log without a bar also has it."""
        now_s = time.monotonic()
        if self._began is None:  # the first step of a process also compiles kernels
            self._began = step, now_s
        elif step == self._began[0] + ESTIMATE_STEPS:
            left_s = (now_s - self._began[1]) / ESTIMATE_STEPS * (steps - step)
            shown = f"{left_s / 60:.0f} min" if left_s >= 120 else f"{left_s:.0f} s"
            self._console.print(f"training takes about {shown} more")


class TensorBoard:
    """Event files that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if step % EVERY_STEPS == 0:
            self._writer.add_scalar("train/loss", loss, step)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        for name, value in _select_numbers(figures).items():
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
        self._mlflow.log_metrics(_select_numbers(figures), step=step)

    def close(self, *, failed: bool) -> None:
        """End the run, so that the server does not show it as running."""
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


TRACKERS = ("tensorboard", "mlflow")
"""The names of the trackers, and of the packages that they need."""


def require_trackers(trackers: Sequence[str]) -> None:
    """Check the trackers before the run begins.

    Raises:
        TrackerMissing: a tracker is unknown or not installed.
    """
    for tracker in trackers:
        if tracker not in TRACKERS:
            raise TrackerMissing(f"--track {tracker}: unknown; use {' or '.join(TRACKERS)}")
        if importlib.util.find_spec(tracker) is None:
            raise TrackerMissing(f"{tracker} is not installed; {explain_install('trackers')}")


@contextmanager
def open_watchers(
    console: Console, trackers: Sequence[str], *, out: Path, name: str, parameters: Mapping[str, Any]
) -> Iterator[Watchers]:
    """Yield the terminal and the *trackers*, which `require_trackers` has checked, as one receiver.

    Args:
        out: the run's folder; TensorBoard's files are in its sub-folder `tensorboard`.
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


def _select_numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if name != "epoch"}
