"""Latency from producing a message to reading its committed result: under load, and for a lone message.

The load is an open loop. A Poisson process with a fixed seed determines when each message is due, and its latency
counts from then. So a slow worker does not slow down the arrivals that would show its slowness.
"""

import itertools
import random
import statistics
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, Producer

from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.engine_process import EngineProcess
from benchmarks.stream.lane import PARTITIONS, QUIET, Lane, encode_values, parse_id
from benchmarks.stream.measured_process import MeasuredProcess
from benchmarks.texts import TextSupply
from emotag_worker.local import LocalWorker, run_kafka

LOADS = (0.1, 0.5, 0.8)
GRACE_S = 30.0
"""Longest wait for results after the last arrival."""

LONE_GOAL = "lone message, produce to read_committed, above one forward plus one empty transaction"


class Sender:
    """Sends single messages into a lane, without batching them, and reads their results."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._producer = Producer(
            {"bootstrap.servers": lane.bootstrap_servers, "linger.ms": 0, "enable.idempotence": True}, logger=QUIET
        )
        self._partitions = itertools.cycle(range(PARTITIONS))

    def measure_latencies(self, texts: Sequence[str], due_s: Sequence[float]) -> list[float]:
        """Send each of *texts* when it is due, in seconds from now. Return the seconds from then to each result.

        Messages whose results do not come in time have no latency in the returned list.
        """
        ids = self._lane.reserve(len(texts))
        began, sent = time.monotonic(), 0
        latencies_s: dict[int, float] = {}
        records = encode_values(texts, ids.start)
        until = due_s[-1] + GRACE_S
        while len(latencies_s) < len(texts) and (now := time.monotonic() - began) < until:
            while sent < len(texts) and due_s[sent] <= now:
                self._producer.produce(self._lane.input, records[sent], partition=next(self._partitions))
                sent += 1
            self._producer.poll(0)
            next_s = due_s[sent] - now if sent < len(texts) else 0.1
            message = self._lane.consumer.poll(max(0.0, min(0.1, next_s)))
            if message is not None and message.error() is None:
                name = parse_id(message.value() or b"")
                if name in ids:
                    latencies_s.setdefault(name, time.monotonic() - began - due_s[name - ids.start])
        return list(latencies_s.values())


class EmptyTransactions:
    """Transactions that contain only offsets: the cost of exactly once in the broker, without any records."""

    def __init__(self, lane: Lane) -> None:
        servers = {"bootstrap.servers": lane.bootstrap_servers}
        self._consumer = Consumer({**servers, "group.id": lane.group, "enable.auto.commit": False}, logger=QUIET)
        self._consumer.subscribe([lane.input])
        while not self._consumer.assignment():
            self._consumer.poll(0.1)
        self._producer = Producer({**servers, "transactional.id": f"{lane.group}-empty"}, logger=QUIET)
        self._producer.init_transactions()
        self._offsets = self._consumer.assignment()
        for place in self._offsets:
            place.offset = 0

    def measure_seconds(self) -> float:
        """Return the seconds of one transaction."""
        self._consumer.poll(0)
        began = time.perf_counter()
        self._producer.begin_transaction()
        self._producer.send_offsets_to_transaction(self._offsets, self._consumer.consumer_group_metadata())
        self._producer.commit_transaction()
        return time.perf_counter() - began

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def measure(budget: Budget) -> Report:
    """Measure a worker and its broker: first the capacity, then loads that are shares of it, then single messages."""
    load_s, singles, warm = (2.5, 4, 64) if budget.quick else (12.0, 30, 512)
    supply, rows = TextSupply(), []
    with run_kafka() as broker, EngineProcess("fp32" if budget.quick else "auto") as engine:
        lane, idle = Lane(broker.bootstrap_servers), Lane(broker.bootstrap_servers)
        worker = MeasuredProcess("emotag run", LocalWorker({**lane.environment(), **engine.environment()}), lane)
        try:
            worker.server.launch()
            empty = EmptyTransactions(idle)
            worker.warm(supply.take(64))
            outcome, _ = worker.run(supply.take(warm))
            sender = Sender(lane)
            for share in LOADS:
                rows += _measure_load(sender, supply, outcome.rate, share, load_s)
            alone = _measure_single(sender, supply, engine, empty, singles)
            empty.close()
        finally:
            worker.close()
            idle.close()
    rows += [
        Row("latency", name, statistics.median(ms), "ms", min(ms), max(ms), note=f"median of {len(ms)}")
        for name, ms in alone.items()
    ]
    above = [lone - forward - nothing for lone, forward, nothing in zip(*alone.values(), strict=True)]
    medians = [statistics.median(ms) for ms in alone.values()]
    why = "median of the differences; the medians are {:.1f} ms, {:.1f} ms and {:.1f} ms".format(*medians)
    return Report(
        rows, [PerformanceGoal(LONE_GOAL, statistics.median(above), 5.0, 3.0, higher_is_better=False, why=why)]
    )


def _measure_load(sender: Sender, supply: TextSupply, capacity: float, share: float, load_s: float) -> list[Row]:
    rate = capacity * share
    count = max(10, round(rate * load_s))
    arrivals = random.Random(round(100 * share))  # noqa: S311  (the same arrivals in each run)
    due_s = list(itertools.accumulate(arrivals.expovariate(rate) for _ in range(count)))
    latencies_s = sender.measure_latencies(supply.take(count), due_s)
    ms = sorted(1000 * each for each in latencies_s)
    name = f"at {share:.0%} of its capacity"
    note = f"{count} new texts at {rate:.0f} per second on average, capacity {capacity:.0f}"
    if len(ms) < count:
        note += f"; {count - len(ms)} had no result {GRACE_S:.0f} s later"
    cuts = statistics.quantiles(ms, n=100, method="inclusive")
    return [
        Row("latency", f"p{percent}, {name}", cuts[percent - 1], "ms", ms[0], ms[-1], note=note) for percent in (50, 99)
    ]


def _measure_single(
    sender: Sender, supply: TextSupply, engine: EngineProcess, empty: EmptyTransactions, singles: int
) -> dict[str, list[float]]:
    """Return the milliseconds of a message in an idle worker, a forward of the same text, and an empty transaction."""
    ms: dict[str, list[float]] = {"one lone message": [], "one forward": [], "one empty transaction": []}
    for text in supply.take(singles):
        time.sleep(0.2)
        ms["one lone message"] += [1000 * each for each in sender.measure_latencies([text], [0.0])]
        time.sleep(0.2)
        ms["one forward"].append(1000 * engine.measure_seconds([text]))
        ms["one empty transaction"].append(1000 * empty.measure_seconds())
    return ms
