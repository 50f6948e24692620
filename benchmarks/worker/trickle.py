"""The cost of records that trickle in: transactions, log and processor time, with and without an interval of commits.

A flood hides the cost of a commit, because thousands of records share it. A trickle shows it.
"""

import statistics
import time
from collections.abc import Mapping

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.engine_process import EngineProcess
from benchmarks.stream.lane import Lane
from benchmarks.stream.measured_process import MeasuredProcess, read_processor_seconds
from benchmarks.texts import TextSupply
from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker, run_kafka

from .latency import Sender

RATE = 50
"""Records per second."""

DEFAULT, NONE = "default interval", "no interval"
SETTINGS: Mapping[str, Mapping[str, str]] = {DEFAULT: {}, NONE: {"EMOTAG_COMMIT_INTERVAL_MS": "0"}}
"""The settings of each worker, by name."""

PAUSE_S = 0.3
"""Longer than the interval: the message after it is committed at once."""

DAY_S = 86_400
TRANSACTIONS, LOG = "transactions", "log per day"
GOALS = {TRANSACTIONS: (20, 10), LOG: (20, 5)}
"""The required value and the goal, in the units of the rows."""


def measure(budget: Budget) -> Report:
    """Measure each worker in turn: a trickle, then single messages."""
    seconds, singles = (11, 3) if budget.quick else (40, 30)
    supply, rows = TextSupply(), []
    with run_kafka() as broker, EngineProcess("fp32" if budget.quick else "auto") as engine:
        for name, chosen in SETTINGS.items():
            lane = Lane(broker.bootstrap_servers)
            server = LocalWorker({**lane.environment(), **engine.environment(), **chosen})
            worker = MeasuredProcess("emotag run", server, lane)
            try:
                server.launch()
                worker.warm(supply.take(64))
                rows += _measure_trickle(worker, supply, name, seconds)
                rows.append(_measure_single(Sender(lane), supply, name, singles))
            finally:
                worker.close()
    measured = {row.name: row for row in rows}
    return Report(
        rows,
        [
            PerformanceGoal(f"{what} at {RATE} messages/s, {row.unit}", row.value, least, goal, higher_is_better=False)
            for what, (least, goal) in GOALS.items()
            for row in (measured[f"{what}, {DEFAULT}"],)
        ],
    )


def _measure_trickle(worker: MeasuredProcess, supply: TextSupply, name: str, seconds: int) -> list[Row]:
    texts = supply.take(RATE * seconds)
    server = worker.server
    assert isinstance(server, LocalWorker)
    commits, logged = read_commits(server), server.log_path.stat().st_size
    spent_s, began = read_processor_seconds(server.pid), time.monotonic()
    latencies_s = Sender(worker.lane).measure_latencies(texts, [number / RATE for number in range(len(texts))])
    took_s = time.monotonic() - began
    if len(latencies_s) < len(texts):
        raise LocalError(f"{name}: {len(texts) - len(latencies_s)} messages had no result")
    values = {
        (TRANSACTIONS, "1/s"): (read_commits(server) - commits) / took_s,
        (LOG, "MB"): (server.log_path.stat().st_size - logged) / took_s * DAY_S / 1e6,
        ("processor time", "ms/message"): 1000 * (read_processor_seconds(server.pid) - spent_s) / len(texts),
        ("median latency", "ms"): 1000 * statistics.median(latencies_s),
    }
    note = f"{len(texts)} new texts, {RATE} per second"
    return [
        Row("trickle", f"{what}, {name}", value, unit, value, value, note=note)
        for (what, unit), value in values.items()
    ]


def _measure_single(sender: Sender, supply: TextSupply, name: str, singles: int) -> Row:
    ms = []
    for text in supply.take(singles):
        time.sleep(PAUSE_S)
        ms += [1000 * each for each in sender.measure_latencies([text], [0.0])]
    note = f"median of {len(ms)}, each after a pause of {PAUSE_S} s"
    return Row("trickle", f"one lone message, {name}", statistics.median(ms), "ms", min(ms), max(ms), note=note)


def read_commits(worker: LocalWorker) -> float:
    """Return the number of a worker's commits so far, by its own metric."""
    lines = worker.get("/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("emotag_commits_total "))
