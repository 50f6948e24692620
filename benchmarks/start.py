"""From the start of a process to its first result, with everything it reads in the page cache."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable

from worker.local import LocalWorker, kafka

from .contestant import resident_mb
from .lane import Lane
from .results import Budget, Goal, Report, Row

TEXT = "I'm so excited about this new opportunity!"
NAMED = ["--engine", "openvino", "--precision", "fp32"]
TAG = ["-m", "worker.cli", "tag"]

START_GOAL = "process start to first result, warm page cache"
ENOUGH_S = 8.0
"""After so many seconds nothing is begun once more: most of them are the same imports each time."""

TOLD = 6
"""How many packages with the longest imports are listed."""

IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")


def measure(budget: Budget) -> Report:
    """`emotag tag`, `emotag run` until it is ready, and where the time of the first goes."""
    with tempfile.TemporaryDirectory() as folder:
        first = _tag(cache=folder)
    _tag()  # whatever was not in the page cache is now, and what is fastest is remembered
    tags = _repeated(_tag, most=1 if budget.quick else 3)
    seconds, memory = [each[0] for each in tags], [each[1] for each in tags]
    rows = [
        Row(
            "start",
            "emotag tag, to its result",
            *_spread(seconds),
            note="what is fastest is remembered",
        ),
        Row("start", "emotag tag, the first time", first[0], "s", first[0], first[0], note="measures what is fastest"),
        Row("start", "emotag tag, most resident memory", statistics.median(memory), "MB", min(memory), max(memory)),
    ]
    fixed = [each[0] for each in _repeated(lambda: _tag(*NAMED), most=1 if budget.quick else 3)]
    rows.append(Row("start", f"emotag tag {' '.join(NAMED)}", *_spread(fixed), note="nothing to measure"))
    if not budget.quick:
        rows += _ready()
    imports = _imports()
    why = f"{statistics.median(fixed):.1f} s with engine and precision named; then {imports[0].note}"
    goal = Goal(START_GOAL, rows[0].value, 5.0, 1.5, higher_is_better=False, why=why)
    return Report([*rows, *imports], [goal])


def _repeated(call: Callable[[], tuple[float, float]], *, most: int) -> list[tuple[float, float]]:
    """Up to *most* times, and no longer than it is worth."""
    until = time.monotonic() + ENOUGH_S
    found = [call()]
    while len(found) < most and time.monotonic() < until:
        found.append(call())
    return found


def _spread(seconds: list[float]) -> tuple[float, str, float, float]:
    return statistics.median(seconds), "s", min(seconds), max(seconds)


def _tag(*options: str, cache: str = "") -> tuple[float, float]:
    """Seconds from the start of the process until its answer is there, and its highest resident memory in MB.

    Args:
        cache: the folder of what is remembered, where that is not to be the user's.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": cache} if cache else None
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *TAG, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{TEXT}\n".encode())
        process.stdin.flush()  # and left open: the process is looked at while it waits for more
        process.stdout.readline()
        first = process.stdout.readline()
        took_s = time.monotonic() - began
        memory_mb = resident_mb(process.pid, "VmHWM") if first else 0.0
        process.stdin.close()
    if process.returncode or not first:
        raise OSError(f"emotag tag ended with {process.returncode}")
    return took_s, memory_mb


def _imports() -> list[Row]:
    """Seconds of importing by package, of one run of `emotag tag`; timing the imports slows them down a little."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *TAG, *NAMED, TEXT], capture_output=True, text=True, check=True
    )
    whole_s = time.monotonic() - began
    spent: Counter[str] = Counter()
    for microseconds, module in IMPORTED.findall(done.stderr):
        spent[module.partition(".")[0]] += int(microseconds)
    total_s = sum(spent.values()) / 1e6
    share = f"{total_s:.1f} s of {whole_s:.1f} s are imports"
    rows = [Row("start", "all imports", total_s, "s", total_s, total_s, note=share)]
    for package, microseconds in spent.most_common(TOLD):
        took_s = microseconds / 1e6
        rows.append(Row("start", f"importing {package}", took_s, "s", took_s, took_s, note=f"{took_s / whole_s:.0%}"))
    return rows


def _ready() -> list[Row]:
    """`emotag run` until `/readyz` says so: model loaded, group joined."""
    with kafka() as broker:

        def once() -> tuple[float, float]:
            lane = Lane(broker.bootstrap_servers)
            with LocalWorker(lane.environment()) as worker:
                began = time.monotonic()
                worker.start()
                found = time.monotonic() - began, resident_mb(worker.pid, "VmHWM")
                worker.kill()
            lane.close()
            return found

        runs = _repeated(once, most=3)
    seconds, memory = [each[0] for each in runs], [each[1] for each in runs]
    return [
        Row("start", "emotag run, to ready", *_spread(seconds), note="model loaded, group joined"),
        Row("start", "emotag run, most resident memory", statistics.median(memory), "MB", min(memory), max(memory)),
    ]
