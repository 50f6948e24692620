"""Progress on a terminal and in a log."""

import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress

from emotag_training.loop.trackers import Screen


def test_after_a_few_batches_a_log_has_the_time_that_training_still_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch, which compiles kernels, is not timed; the line is printed once."""
    log = io.StringIO()
    console = Console(file=log)
    screen = Screen(console, Progress(console=console, disable=True))
    now_s = iter([100.0, *(200.0 + 2 * step for step in range(100))])
    monkeypatch.setattr(time, "monotonic", lambda: next(now_s))
    screen.step(1, 1, 111, 0.7)
    monkeypatch.setattr(screen, "_began", (1, 200.0))
    for step in range(2, 40):
        screen.step(1, step, 111, 0.7)
    assert ["training takes about 3 min more"] == log.getvalue().splitlines()
