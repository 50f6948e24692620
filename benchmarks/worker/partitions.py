"""Partitions with unequal load: a worker with one hot partition, and the reading of 1 KB values.

One partition has a backlog. In every second round, another partition receives one message a second. The rate of the
backlog is compared within a round, because the speed of a machine drifts.
"""

import itertools
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measurements import Measurements
from benchmarks.results import Budget, PerformanceGoal, Report, Row
from benchmarks.stream.lane import QUIET_S, Lane, encode_values, parse_id
from benchmarks.stream.measured_process import MeasuredProcess, read_processor_seconds
from benchmarks.texts import TextSupply
from emotag_worker.errors import LocalError
from emotag_worker.kafka.clients import create_offset_reader
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.local import LocalWorker, run_kafka
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.service import open_source
from emotag_worker.settings import Settings
from emotag_worker.settings.stream import InputSettings, KafkaSettings

TABLE = "partitions"
ALONE, WITH_LIVE = "a backlog alone", "a backlog with a live partition"
HOT, LIVE = 0, 1
SLO_S = 1.0
LATENCY_GOAL = "live message during a backlog, produce to read_committed, p99"
RATE_GOAL = "throughput with a backlog and a live partition over that with the backlog alone"

VALUE_BYTES = 1024
POOL = 5000
"""The number of different values: more than the compression of a producer can see at once."""

PACE = 15_000
BATCH = 4096
BATCH_BYTES = 16 * 1_048_576


@dataclass(frozen=True)
class HotRun:
    """One run over a backlog.

    Attributes:
        rate: messages per second, live ones included.
        spent_us: processor time of the worker per message.
        latencies_s: of the live messages.
    """

    rate: float
    spent_us: float
    latencies_s: Sequence[float]


def measure(budget: Budget) -> Report:
    """Measure one hot partition, then the reading of 1 KB values."""
    messages, rounds = (500, 1) if budget.quick else (15_000, 2)
    with run_kafka() as broker:
        rows, goals = _measure_hot_partition(broker.bootstrap_servers, messages, rounds, quick=budget.quick)
        rows += _measure_reading(broker.bootstrap_servers, messages=5_000 if budget.quick else 60_000)
    return Report(rows, goals)


def _measure_hot_partition(
    bootstrap_servers: str, messages: int, rounds: int, *, quick: bool
) -> tuple[list[Row], list[PerformanceGoal]]:
    lane, supply = Lane(bootstrap_servers, partitions=2), TextSupply()
    precision = {"EMOTAG_MODEL__PRECISION": "fp32"} if quick else {}
    worker = MeasuredProcess("emotag run", LocalWorker({**lane.environment(), **precision}), lane)
    rates, spent = Measurements(TABLE, "messages/s"), Measurements(TABLE, "µs/message")
    latencies_s: list[float] = []
    try:
        worker.server.launch()
        worker.warm(supply.take(512))
        for number in range(rounds):
            for name in (ALONE, WITH_LIVE) if number % 2 else (WITH_LIVE, ALONE):
                run = _run(worker, supply.take(messages), live=name == WITH_LIVE)
                rates.add(name, number, run.rate)
                spent.add(f"{name}: processor", number, run.spent_us)
                latencies_s += run.latencies_s
    finally:
        worker.close()
    ms = sorted(1000 * each for each in latencies_s)
    cuts = statistics.quantiles(ms, n=100, method="inclusive")
    note = f"{len(ms)} live messages, one a second"
    rows = [
        *rates.rows(against=ALONE, notes={WITH_LIVE: f"{messages:,} new texts on one partition; one message a second"}),
        *spent.rows(against=f"{ALONE}: processor", notes={}),
        *(
            Row(
                TABLE,
                f"p{percent} of live messages during a backlog",
                cuts[percent - 1],
                "ms",
                ms[0],
                ms[-1],
                note=note,
            )
            for percent in (50, 99)
        ),
    ]
    goals = [
        PerformanceGoal(LATENCY_GOAL, cuts[98] / 1000, 3 * SLO_S, 2 * SLO_S, higher_is_better=False, why=f"s; {note}"),
        PerformanceGoal(RATE_GOAL, rates.ratio(WITH_LIVE, ALONE), 0.95, 0.98, higher_is_better=True),
    ]
    return rows, goals


def _run(worker: MeasuredProcess, texts: Sequence[str], *, live: bool) -> HotRun:
    """Process a backlog on one partition; meanwhile send one message a second to another one, if *live*."""
    lane = worker.lane
    worker.server.pause()
    ids = _fill(lane, texts)
    spent_s = read_processor_seconds(worker.server.pid)
    began = last = time.monotonic()
    worker.server.resume()
    missing, due = set(ids), began + 0.5
    sent: dict[int, float] = {}
    latencies_s: list[float] = []
    while missing or sent:
        now = time.monotonic()
        if now - last > QUIET_S:
            raise LocalError(f"no result for {QUIET_S:g} s; {len(missing)} messages have none")
        if live and missing and now >= due:
            (name,) = lane.reserve(1)
            lane.producer.produce(lane.input, encode_values([f"a live message {name}"], name)[0], partition=LIVE)
            sent[name] = due
            due += 1.0
        lane.producer.poll(0)
        for message in lane.consumer.consume(1000, 0.01):
            if message.error() is not None:
                continue
            name, arrived = parse_id(message.value() or b""), time.monotonic()
            if name in missing:
                missing.remove(name)
                last = arrived
            elif name in sent:
                latencies_s.append(arrived - sent.pop(name))
    spent_s = read_processor_seconds(worker.server.pid) - spent_s
    messages = len(ids) + len(latencies_s)
    return HotRun(messages / (last - began), 1e6 * spent_s / messages, latencies_s)


def _fill(lane: Lane, texts: Sequence[str]) -> range:
    """Produce all *texts* to one partition; return their ids once the broker has them."""
    ids = lane.reserve(len(texts))
    for value in encode_values(texts, ids.start):
        _produce(lane, value)
    if lane.producer.flush(60):
        raise LocalError("the local broker did not accept all messages within 60 s")
    return ids


def _produce(lane: Lane, value: bytes) -> None:
    while True:
        try:
            lane.producer.produce(lane.input, value, partition=HOT)
        except BufferError:
            lane.producer.poll(0.1)
        else:
            return


def _measure_reading(bootstrap_servers: str, *, messages: int) -> list[Row]:
    """Return the rate at which a source reads values of 1 KB if a device could process `PACE` a second."""
    lane = Lane(bootstrap_servers, partitions=1)
    _fill_raw(lane, messages)
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers, group_id=lane.group),
        input=InputSettings(topic=lane.input),
    )
    source = open_source(settings, create_offset_reader(settings), Telemetry())
    source.subscribe(before_revoke=lambda: None, when_lost=dict)
    try:
        rate = _read_at_pace(source, messages)
    finally:
        source.close()
        lane.close()
    name, note = "reading values of 1 KB from one partition", f"{messages:,} messages; at most {PACE:,}/s are taken"
    return [Row(TABLE, name, rate, "messages/s", rate, rate, note=note)]


def _fill_raw(lane: Lane, messages: int) -> None:
    # Values that do not compress: one response of the broker would hold thousands of others.
    values = [os.urandom(VALUE_BYTES // 2).hex().encode() for _ in range(POOL)]
    for value in itertools.islice(itertools.cycle(values), messages):
        _produce(lane, value)
    lane.producer.flush(60)


def _read_at_pace(source: KafkaSource, messages: int) -> float:
    """Read a batch while the device has the one before, as a pipeline does; return messages per second."""
    while not source.poll(1, BATCH_BYTES, timeout_s=1):
        pass
    read, began = 1, time.monotonic()
    free_at = began
    while read < messages:
        records = source.poll(BATCH, BATCH_BYTES, timeout_s=0.1)
        time.sleep(max(0.0, free_at - time.monotonic()))
        free_at = max(free_at, time.monotonic()) + len(records) / PACE
        read += len(records)
    return messages / (free_at - began)
