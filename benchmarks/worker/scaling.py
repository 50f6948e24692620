"""More workers: two workers on two cores against one worker on one core, and the time to add and remove a worker.

Both teams read topics of eight partitions. They are stopped (SIGSTOP) while their topics are filled, and then process
the same new texts. The broker uses both cores. Between the runs, in each round, the matrix-multiply rate of two cores
is measured against that of one core.
"""

import contextlib
import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.measurements import Measurements
from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.lane import Lane, Outcome
from benchmarks.stream.measured_process import PinnedWorker
from benchmarks.texts import TextSupply
from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker, run_kafka

from .pinned_roofline import PinnedRoofline, measure_together

PARTITIONS = 8
ONE, TWO = "one worker on one core", "two workers on a core each"
ONE_CORE, TWO_CORES = "matrix multiplication on one core", "matrix multiplication on two cores"
SCALING_GOAL = "two workers on a core each against one worker on one core"
HANDOVER_GOAL = "from SIGTERM until another worker has the partitions"

PHASES = {
    "admin_server_started": "imports, until the probes respond",
    "engine_chosen": "brokers found, model loaded",
    "worker_started": "warmed up, first batch sized",
    "partitions_assigned": "group joined",
    "batch_committed": "first batch committed",
}
"""The events that a worker logs until its first result, and the phase that each of them ends."""

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Team:
    """Workers of one group, each pinned to its own core, and their lane."""

    name: str
    workers: Sequence[LocalWorker]
    lane: Lane

    def warm(self, texts: Sequence[str]) -> None:
        """Start all workers. Once each has its share of the partitions, process *texts*."""
        for worker in self.workers:
            worker.launch()
        share = PARTITIONS // len(self.workers)
        _wait_until(
            lambda: all(read_partitions(worker) == share for worker in self.workers),
            f"{self.name}: not every worker got {share} partitions",
        )
        self.run(texts)

    def run(self, texts: Sequence[str]) -> Outcome:
        """Process *texts*. All of them are in the topic before the workers start to read."""
        for worker in self.workers:
            worker.pause()
        ids = self.lane.fill(texts)
        began = time.monotonic()
        for worker in self.workers:
            worker.resume()
        outcome = self.lane.await_results(ids, began=began)
        if outcome.lost or outcome.duplicated:
            raise LocalError(f"{self.name}: {outcome.lost} messages were lost and {outcome.duplicated} duplicated")
        return outcome


def measure(budget: Budget) -> Report:
    """Measure both teams in turn, then the handover from a worker that stops, then the start of a worker."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        missing = PerformanceGoal(SCALING_GOAL, None, 1.8, 1.95, higher_is_better=True, why="this machine has one core")
        return Report([], [missing], [f"{TWO}: this machine has one core"])
    messages, rounds, changes = (128, 1, 1) if budget.quick else (2048, 3, 5)
    supply, rates, matrices = TextSupply(), Measurements("scaling", "messages/s"), Measurements("scaling", "GFLOP/s")
    with run_kafka() as broker:
        with (
            contextlib.ExitStack() as stack,
            _start_team(ONE, broker.bootstrap_servers, cores[-1:]) as one,
            _start_team(TWO, broker.bootstrap_servers, cores) as two,
        ):
            for team in (one, two):
                team.warm(supply.take(64))
            rooflines = [stack.enter_context(PinnedRoofline(core)) for core in cores]
            for number in range(rounds):
                matrices.add(ONE_CORE, number, measure_together(rooflines[-1:]) / 1e9)
                matrices.add(TWO_CORES, number, measure_together(rooflines) / 1e9)
                texts = supply.take(messages)
                for team in (one, two) if number % 2 else (two, one):
                    rates.add(team.name, number, team.run(texts).rate)
            handovers = [_measure_handover(two) for _ in range(changes)]
        starts = [_measure_start(broker.bootstrap_servers, supply.take(1)) for _ in range(changes)]
    notes = dict.fromkeys((ONE, TWO), f"{messages:,} new texts per run, fp32, no cache, one result each")
    rows = [*rates.rows(against=ONE, notes=notes), *matrices.rows(against=ONE_CORE, notes={})]
    rows.append(_make_row("a worker stops, from SIGTERM to the handover", handovers))
    whole = [sum(phases.values()) for phases in starts]
    rows.append(_make_row("a worker starts, to its first result", whole))
    rows += [_make_row(f"of that: {what}", [phases[what] for phases in starts]) for what in PHASES.values()]
    return Report(
        rows,
        [
            PerformanceGoal(
                SCALING_GOAL, rates.ratio(TWO, ONE), 1.8, 1.95, higher_is_better=True, why=_explain(rates, matrices)
            ),
            PerformanceGoal(HANDOVER_GOAL, statistics.median(handovers), 3.0, 1.0, higher_is_better=False),
        ],
    )


@contextlib.contextmanager
def _start_team(name: str, bootstrap_servers: str, cores: Sequence[int]) -> Iterator[Team]:
    lane = Lane(bootstrap_servers, partitions=PARTITIONS)
    workers = [PinnedWorker(_environment(lane), core=core) for core in cores]
    try:
        yield Team(name, workers, lane)
    finally:
        for worker in workers:
            worker.kill()
            worker.close()
        lane.close()


def _environment(lane: Lane) -> dict[str, str]:
    return {**lane.environment(), "EMOTAG_MODEL__PRECISION": "fp32", "EMOTAG_MODEL__ENGINE": "openvino"}


def _measure_handover(team: Team) -> float:
    """Return the seconds from SIGTERM to the last worker until the first has all partitions. Then restart the last."""
    stays, goes = team.workers[0], team.workers[-1]
    began = time.monotonic()
    os.kill(goes.pid, signal.SIGTERM)
    _wait_until(
        lambda: read_partitions(stays) == PARTITIONS, f"no worker took over the partitions within {TIMEOUT_S:.0f} s"
    )
    took_s = time.monotonic() - began
    if code := goes.wait(TIMEOUT_S):
        raise LocalError(f"a worker ended with exit code {code} after SIGTERM; {goes.read_log_tail()}")
    goes.launch()
    share = PARTITIONS // len(team.workers)
    _wait_until(
        lambda: all(read_partitions(worker) == share for worker in team.workers),
        f"the restarted worker did not get {share} partitions",
    )
    return took_s


def _measure_start(bootstrap_servers: str, texts: Sequence[str]) -> dict[str, float]:
    """Return the seconds of each of `PHASES` for a worker with both cores and a message in its topic."""
    lane = Lane(bootstrap_servers, partitions=PARTITIONS)
    with LocalWorker({**_environment(lane), "EMOTAG_LOG__LEVEL": "debug"}) as worker:  # logs each batch
        ids = lane.fill(texts)
        began, began_at = time.monotonic(), time.time()
        worker.launch()
        lane.await_results(ids, began=began)
        logged = _read_first_times(worker)
        worker.kill()
    lane.close()
    found, before = {}, began_at
    for event, what in PHASES.items():
        found[what] = max(0.0, logged[event] - before)
        before = max(before, logged[event])
    return found


def _read_first_times(worker: LocalWorker) -> dict[str, float]:
    """Return the wall-clock time at which each event was first logged."""
    found: dict[str, float] = {}
    for line in worker.log_path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            found.setdefault(entry["event"], datetime.fromisoformat(entry["timestamp"]).timestamp())
    return found


def read_partitions(worker: LocalWorker) -> int:
    """Return the number of a worker's partitions by its own metrics; 0 while its metrics are not available."""
    with contextlib.suppress(OSError):
        for line in worker.get("/metrics")[1].splitlines():
            if line.startswith("emotag_assigned_partitions "):
                return round(float(line.split()[1]))
    return 0


def _wait_until(holds: Callable[[], bool], failure: str) -> None:
    give_up_at = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > give_up_at:
            raise LocalError(failure)
        time.sleep(0.02)


def _make_row(name: str, seconds: Sequence[float]) -> Row:
    return Row("scaling", name, statistics.median(seconds), "s", min(seconds), max(seconds))


def _explain(rates: Measurements, matrices: Measurements) -> str:
    one, two, most = rates.median(ONE), rates.median(TWO), matrices.ratio(TWO_CORES, ONE_CORE)
    return (
        f"{two:,.0f} messages/s against {one:,.0f}; "
        f"multiplying matrices, two cores have {most:.2f} times the rate of one"
    )
