"""Three workers, one of which restarts again and again, and the longest time without a readable result.

python -m tests.chaos.rig.crash_loop --as '{"session.timeout.ms": 45000}' --seconds 90

measures one kind of membership and prints one line.
"""

import argparse
import itertools
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalWorker, run_kafka
from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, new_producer, text

WORKERS, PARTITIONS = 3, 6
EVERY_S = 8.0
"""Time between two ends of the worker that restarts; longer while it needs more than 6 s to load its model."""
LIFE_S = 2.0
"""Shortest time between the start of its work and its end: a worker that never works shows nothing."""
PAUSE_S = 0.1
"""Time between two records of each partition."""
LEAST = 3
"""Fewest ends of the worker, however long its starts take: one alone is no loop."""
JOIN_S = 90.0

PRODUCTION = {
    "group.initial.rebalance.delay.ms": "3000",
    "group.min.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "45000",
    "group.consumer.session.timeout.ms": "45000",
    "group.consumer.min.heartbeat.interval.ms": "5000",
    "group.consumer.heartbeat.interval.ms": "5000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000",
}
"""Kafka's own defaults, where those of `emotag local` are faster."""

Environment = Callable[[int, int], Mapping[str, str]]
"""Returns the variables of a worker, from its number and how often it was started before."""


@dataclass(frozen=True)
class Silence:
    """The longest times without a readable result, in seconds.

    Attributes:
        restarts: how often the worker was ended and started again.
        start_s: longest time from its start until it joined the group; it depends on the machine.
        all_s: of all results together.
        partition_s: of the results of one input partition.
        settled_s: from the last end of the worker until every record was answered.
    """

    restarts: int
    start_s: float
    all_s: float
    partition_s: float
    settled_s: float


def measure_silence(
    bootstrap_servers: str,
    topics: Topics,
    describe: Environment,
    *,
    seconds: float,
    how: signal.Signals = signal.SIGKILL,
) -> Silence:
    """Send records to every partition, end the first worker every 8 s with the signal *how*, and start it again."""
    workers = [_launch(bootstrap_servers, topics, describe, number, 0) for number in range(WORKERS)]
    reader, producer = Reader(bootstrap_servers, topics), new_producer(bootstrap_servers)
    words, sent, starts = read_sample_texts(), itertools.count(), itertools.count(1)

    def stream(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for partition in range(topics.partitions):
                number = next(sent)
                produced = text(f"{words[number % len(words)]} {number}", key=b"%d" % number)
                producer.produce(topics.input, value=produced.value, key=produced.key, partition=partition)
            producer.poll(0)
            reader.take_for(PAUSE_S)

    try:
        _await_members(workers)
        while len({place for place, _ in reader.read.results}) < topics.partitions:
            stream(1.0)
        began = time.monotonic()
        restarts, start_s = 0, 0.0
        while time.monotonic() - began < seconds or restarts < LEAST:
            restarts += 1
            ended_at = time.monotonic()
            _end(workers[0], how)
            workers[0].close()
            workers[0] = _launch(bootstrap_servers, topics, describe, 0, next(starts))
            while not _has_started(workers[0]):
                stream(PAUSE_S)
                assert time.monotonic() - ended_at < JOIN_S, workers[0].read_log_tail()
            start_s = max(start_s, time.monotonic() - ended_at)
            stream(max(LIFE_S, ended_at + EVERY_S - time.monotonic()))
        assert 0 == producer.flush(30)
        count = next(sent)
        while reader.read.answered < count and time.monotonic() - ended_at < 2 * JOIN_S:
            reader.take(1.0)
        settled_s = time.monotonic() - ended_at
        assert count == reader.read.answered, f"{count} sent, {reader.read.answered} answered"
    finally:
        reader.close()
        for worker in workers:
            worker.kill()
            worker.close()
    return Silence(restarts, round(start_s, 1), *find_gaps(reader, began), settled_s=round(settled_s, 1))


def find_gaps(reader: Reader, began: float) -> tuple[float, float]:
    """Return the longest time without a result since *began*: of any partition, and of one input partition."""
    places = list(reader.read.results)
    arrivals_s: dict[int, list[float]] = defaultdict(lambda: [began])
    for (partition, _), arrived_s in zip(places, reader.read.arrivals_s, strict=True):  # each record has one result
        if arrived_s > began:
            arrivals_s[partition].append(arrived_s)
    together = sorted(itertools.chain.from_iterable(arrivals_s.values()))
    return _longest(together), max(_longest(each) for each in arrivals_s.values())


def _longest(arrivals_s: list[float]) -> float:
    return round(max(after - before for before, after in itertools.pairwise(arrivals_s)), 1)


def _launch(bootstrap_servers: str, topics: Topics, describe: Environment, number: int, start: int) -> LocalWorker:
    worker = LocalWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_MODEL__PRECISION": "fp32",
            "EMOTAG_MODEL__ENGINE": "openvino",
            **describe(number, start),
        },
        Path(folder) if (folder := os.environ.get("CRASH_LOOP_LOGS")) else None,
    )
    worker.launch()
    return worker


def _end(worker: LocalWorker, how: signal.Signals) -> None:
    os.kill(worker.pid, how)
    worker.wait(60)


def _has_started(worker: LocalWorker) -> bool:
    try:
        return worker.get("/startupz")[0] == 200
    except OSError:
        return False


def _await_members(workers: list[LocalWorker]) -> None:
    give_up_at = time.monotonic() + JOIN_S
    while not all(worker.is_ready() for worker in workers):
        assert time.monotonic() < give_up_at, "\n\n".join(worker.read_log_tail() for worker in workers)
        time.sleep(0.2)  # only the workers' own probes show it


def main() -> None:
    """Measure one kind of membership."""
    parser = argparse.ArgumentParser(description="The longest time without results while one worker restarts.")
    parser.add_argument("--as", dest="properties", default="{}", help="JSON; {name} and {start} are replaced")
    parser.add_argument("--env", default="{}", help="JSON with more variables; {name} and {start} are replaced")
    parser.add_argument("--seconds", type=float, default=80)
    parser.add_argument("--signal", default="SIGKILL")
    asked = parser.parse_args()

    def describe(number: int, start: int) -> dict[str, str]:
        def fill(value: str) -> str:
            return value.replace("{name}", f"worker-{number}").replace("{start}", str(start))

        more = {name: fill(value) for name, value in json.loads(asked.env).items()}
        return {"EMOTAG_KAFKA__PROPERTIES": fill(asked.properties), **more}

    with run_kafka(properties=PRODUCTION) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers}, logger=QUIET)
        topics = create_topics(admin, partitions=PARTITIONS)
        how = signal.Signals[asked.signal]
        found = measure_silence(broker.bootstrap_servers, topics, describe, seconds=asked.seconds, how=how)
        broker.kill()
    sys.stdout.write(f"{asked.signal} {asked.properties} {asked.env}: {json.dumps(asdict(found))}\n")


if __name__ == "__main__":
    main()
