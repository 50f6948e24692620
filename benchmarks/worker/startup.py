"""The time from the start of a process to its first result, with all its files in the page cache."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.lane import Lane
from benchmarks.stream.measured_process import read_resident_mb
from emotag_worker.local import LocalWorker, run_kafka

TEXT = "I'm so excited about this new opportunity!"
NAMED = ["--engine", "openvino", "--precision", "fp32"]
TAG = ["-m", "emotag_worker", "tag"]

START_GOAL = "process start to first result, warm page cache"
REPEAT_S = 8.0
"""No repeat starts after this time: most of a run is the same imports each time."""

LISTED = 6
"""The number of packages to list, longest imports first."""

IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")


def measure(budget: Budget) -> Report:
    """Measure `emotag tag`, `emotag run` until it is ready, and the imports of `emotag tag`."""
    with tempfile.TemporaryDirectory() as folder:
        first = _tag(cache=folder)
    _tag()  # now all files are in the page cache, and the chosen engine and precision are stored
    tags = _repeat(_tag, most=1 if budget.quick else 3)
    seconds, memory = [each[0] for each in tags], [each[1] for each in tags]
    rows = [
        Row(
            "start",
            "emotag tag, to its result",
            *_spread(seconds),
            note="engine and precision were chosen before",
        ),
        Row(
            "start",
            "emotag tag, the first time",
            first[0],
            "s",
            first[0],
            first[0],
            note="chooses engine and precision",
        ),
        Row("start", "emotag tag, maximum resident memory", statistics.median(memory), "MB", min(memory), max(memory)),
    ]
    fixed = [each[0] for each in _repeat(lambda: _tag(*NAMED), most=1 if budget.quick else 3)]
    rows.append(Row("start", f"emotag tag {' '.join(NAMED)}", *_spread(fixed), note="engine and precision given"))
    if not budget.quick:
        rows += _measure_ready()
    imports = _measure_imports()
    why = f"{statistics.median(fixed):.1f} s with engine and precision given; then {imports[0].note}"
    goal = PerformanceGoal(START_GOAL, rows[0].value, 5.0, 1.5, higher_is_better=False, why=why)
    return Report([*rows, *imports], [goal])


def _repeat(call: Callable[[], tuple[float, float]], *, most: int) -> list[tuple[float, float]]:
    """Call up to *most* times; start no call after `REPEAT_S`."""
    until = time.monotonic() + REPEAT_S
    measured = [call()]
    while len(measured) < most and time.monotonic() < until:
        measured.append(call())
    return measured


def _spread(seconds: list[float]) -> tuple[float, str, float, float]:
    return statistics.median(seconds), "s", min(seconds), max(seconds)


def _tag(*options: str, cache: str = "") -> tuple[float, float]:
    """Return the seconds from the start of `emotag tag` to its result, and its maximum resident memory in MB.

    Args:
        cache: the folder for the stored choice of engine and precision; by default the user's.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": cache} if cache else None
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *TAG, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{TEXT}\n".encode())
        process.stdin.flush()  # left open, so that the process still runs when its memory is read
        process.stdout.readline()
        first = process.stdout.readline()
        took_s = time.monotonic() - began
        memory_mb = read_resident_mb(process.pid, "VmHWM") if first else 0.0
        process.stdin.close()
    if process.returncode or not first:
        raise OSError(f"emotag tag ended with exit code {process.returncode}")
    return took_s, memory_mb


def _measure_imports() -> list[Row]:
    """Return the import seconds by package in one run of `emotag tag`. The timing itself slows the imports a little."""
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
    for package, microseconds in spent.most_common(LISTED):
        took_s = microseconds / 1e6
        rows.append(Row("start", f"importing {package}", took_s, "s", took_s, took_s, note=f"{took_s / whole_s:.0%}"))
    return rows


def _measure_ready() -> list[Row]:
    """Measure `emotag run` until `/readyz` returns 200: model loaded, group joined."""
    with run_kafka() as broker:

        def once() -> tuple[float, float]:
            lane = Lane(broker.bootstrap_servers)
            with LocalWorker(lane.environment()) as worker:
                began = time.monotonic()
                worker.start()
                measured = time.monotonic() - began, read_resident_mb(worker.pid, "VmHWM")
                worker.kill()
            lane.close()
            return measured

        runs = _repeat(once, most=3)
    seconds, memory = [each[0] for each in runs], [each[1] for each in runs]
    return [
        Row("start", "emotag run, to ready", *_spread(seconds), note="model loaded, group joined"),
        Row("start", "emotag run, maximum resident memory", statistics.median(memory), "MB", min(memory), max(memory)),
    ]
