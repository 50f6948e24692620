"""More workers: two on a core each against one on one core, and how long one takes to come and to go.

Both teams read topics of eight partitions, lie stopped (SIGSTOP) while these are filled, and answer the same new texts;
the broker takes what it needs of either core. What two cores do against one with nothing but matrices to multiply is
measured between them, round by round.
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

from worker.local import LocalWorker, kafka
from worker.local.server import LocalError

from .contestant import PinnedWorker
from .lane import Lane, Outcome
from .messages import Supply
from .pinned_ceiling import PinnedCeiling, together
from .results import Budget, Goal, Report, Row
from .tally import Tally

PARTITIONS = 8
ONE, TWO = "one worker on one core", "two workers on a core each"
ONE_CORE, TWO_CORES = "matrix multiplication on one core", "matrix multiplication on two cores"
SCALING_GOAL = "two workers on a core each against one worker on one core"
HANDOVER_GOAL = "from SIGTERM until another worker has the partitions"

PARTS = {
    "admin_listening": "imports, until the probes are answered",
    "engine_chosen": "brokers found, model loaded",
    "worker_started": "warmed up, first step sized",
    "partitions_assigned": "group joined",
    "step_committed": "first step committed",
}
"""What a worker logs on its way to the first result, and the part that ends with it."""

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Team:
    """Workers of one group, each on a core of its own, and their lane."""

    name: str
    workers: Sequence[LocalWorker]
    lane: Lane

    def warm(self, texts: Sequence[str]) -> None:
        """Start all, and have them answer *texts* once each has its share of the partitions."""
        for worker in self.workers:
            worker.launch()
        share = PARTITIONS // len(self.workers)
        _until(lambda: all(partitions(worker) == share for worker in self.workers), f"{self.name}: no fair shares")
        self.run(texts)

    def run(self, texts: Sequence[str]) -> Outcome:
        """Answer *texts*, which lie there in full when they begin to read."""
        for worker in self.workers:
            worker.pause()
        ids = self.lane.fill(texts)
        began = time.monotonic()
        for worker in self.workers:
            worker.resume()
        outcome = self.lane.await_answers(ids, began=began)
        if outcome.lost or outcome.duplicated:
            raise LocalError(f"{self.name} lost {outcome.lost}, and {outcome.duplicated} came twice")
        return outcome


def measure(budget: Budget) -> Report:
    """Both teams by turns, then a worker that leaves, then one that comes."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        missing = Goal(SCALING_GOAL, None, 1.8, 1.95, higher_is_better=True, why="there is one core alone")
        return Report([], [missing], [f"{TWO}: there is one core alone"])
    messages, rounds, changes = (128, 1, 1) if budget.quick else (3072, 3, 5)
    supply, tally, matrices = Supply(), Tally("scaling", "messages/s"), Tally("scaling", "GFLOP/s")
    with kafka() as broker:
        with (
            contextlib.ExitStack() as stack,
            _team(ONE, broker.bootstrap_servers, cores[-1:]) as one,
            _team(TWO, broker.bootstrap_servers, cores) as two,
        ):
            for team in (one, two):
                team.warm(supply.take(64))
            ceilings = [stack.enter_context(PinnedCeiling(core)) for core in cores]
            for number in range(rounds):
                matrices.add(ONE_CORE, number, together(ceilings[-1:]) / 1e9)
                matrices.add(TWO_CORES, number, together(ceilings) / 1e9)
                texts = supply.take(messages)
                for team in (one, two) if number % 2 else (two, one):
                    tally.add(team.name, number, team.run(texts).rate)
            handovers = [_handover(two) for _ in range(changes)]
        starts = [_start(broker.bootstrap_servers, supply.take(1)) for _ in range(changes)]
    notes = dict.fromkeys((ONE, TWO), f"{messages:,} new texts a run, fp32, no cache, each answered once")
    rows = [*tally.rows(against=ONE, notes=notes), *matrices.rows(against=ONE_CORE, notes={})]
    rows.append(_row("a worker's leaving, from SIGTERM to the handover", handovers))
    whole = [sum(parts.values()) for parts in starts]
    rows.append(_row("a worker's coming, from its start to the first result", whole))
    rows += [_row(f"of that: {what}", [parts[what] for parts in starts]) for what in PARTS.values()]
    return Report(
        rows,
        [
            Goal(SCALING_GOAL, tally.ratio(TWO, ONE), 1.8, 1.95, higher_is_better=True, why=_room(tally, matrices)),
            Goal(HANDOVER_GOAL, statistics.median(handovers), 3.0, 1.0, higher_is_better=False),
        ],
    )


@contextlib.contextmanager
def _team(name: str, bootstrap_servers: str, cores: Sequence[int]) -> Iterator[Team]:
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


def _handover(team: Team) -> float:
    """Seconds from SIGTERM to the last worker until the first one has every partition; then the last comes back."""
    stays, goes = team.workers[0], team.workers[-1]
    began = time.monotonic()
    os.kill(goes.pid, signal.SIGTERM)
    _until(lambda: partitions(stays) == PARTITIONS, "nobody took over")
    took_s = time.monotonic() - began
    if code := goes.wait(PATIENCE_S):
        raise LocalError(f"a worker that was told to stop ended with {code}; {goes.log_tail()}")
    goes.launch()
    share = PARTITIONS // len(team.workers)
    _until(lambda: all(partitions(worker) == share for worker in team.workers), "it did not get its share again")
    return took_s


def _start(bootstrap_servers: str, texts: Sequence[str]) -> dict[str, float]:
    """Seconds of each of `PARTS`, of a worker that has both cores and a message that waits for it."""
    lane = Lane(bootstrap_servers, partitions=PARTITIONS)
    with LocalWorker(_environment(lane)) as worker:
        ids = lane.fill(texts)
        began, began_at = time.monotonic(), time.time()
        worker.launch()
        lane.await_answers(ids, began=began)
        logged = _first_times(worker)
        worker.kill()
    lane.close()
    found, before = {}, began_at
    for event, what in PARTS.items():
        found[what] = max(0.0, logged[event] - before)
        before = max(before, logged[event])
    return found


def _first_times(worker: LocalWorker) -> dict[str, float]:
    """When each event was first logged, by the clock on the wall."""
    found: dict[str, float] = {}
    for line in worker.log_path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            found.setdefault(entry["event"], datetime.fromisoformat(entry["timestamp"]).timestamp())
    return found


def partitions(worker: LocalWorker) -> int:
    """How many a worker has, by its own metrics; 0 while it does not answer."""
    with contextlib.suppress(OSError):
        for line in worker.get("/metrics")[1].splitlines():
            if line.startswith("emotag_assigned_partitions "):
                return round(float(line.split()[1]))
    return 0


def _until(holds: Callable[[], bool], trouble: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > give_up_at:
            raise LocalError(trouble)
        time.sleep(0.02)


def _row(name: str, seconds: Sequence[float]) -> Row:
    return Row("scaling", name, statistics.median(seconds), "s", min(seconds), max(seconds))


def _room(tally: Tally, matrices: Tally) -> str:
    one, two, most = tally.median(ONE), tally.median(TWO), matrices.ratio(TWO_CORES, ONE_CORE)
    return (
        f"{two:,.0f} messages/s against {one:,.0f}; multiplying matrices, two cores do {most:.2f} times what one does"
    )
