"""What a trickle of records costs: transactions, log lines, and the latency of a record after a pause."""

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker
from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, send, text

RECORDS, RATE = 750, 50
"""Records, and records per second: 15 s, so that the log contains a summary."""

DAY_S = 86_400


@pytest.mark.timeout(180)
def test_fifty_records_a_second_cost_ten_transactions_and_few_log_lines(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Otherwise half of the output's offsets are transaction markers, and a worker logs hundreds of megabytes a day."""
    worker = start_worker(topics.environment(bootstrap_servers))
    send(bootstrap_servers, topics.input, [text("the first record")])
    with closing(Reader(bootstrap_servers, topics)) as reader:
        reader.until(1, timeout_s=30)
        commits, logged, began = read_commits(worker), worker.log_path.stat().st_size, time.monotonic()
        trickle(bootstrap_servers, topics)
        assert 1 + RECORDS == sum(reader.until(1 + RECORDS, timeout_s=60).times().values())
    took_s = time.monotonic() - began
    assert (read_commits(worker) - commits) / took_s < 10
    # A transaction ends with a marker in each partition that it wrote to, which takes an offset there.
    markers = count_offsets(bootstrap_servers, topics) - (1 + RECORDS)
    assert markers < 10 * took_s * topics.partitions
    assert (worker.log_path.stat().st_size - logged) / took_s * DAY_S < 5e6
    assert "records_committed" in worker.log_path.read_text(encoding="utf-8")


@pytest.mark.timeout(180)
def test_a_record_after_a_pause_does_not_wait_for_the_interval(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker
) -> None:
    """With the longest interval, it is committed as fast as with none. Measured in turn, because machines vary."""
    with (
        lone_message(bootstrap_servers, admin, start_worker, 1000) as limited,
        lone_message(bootstrap_servers, admin, start_worker, 0) as unlimited,
    ):
        seconds = [(next(limited), next(unlimited)) for _ in range(9)]
    with_interval_s, without_s = (statistics.median(column) for column in zip(*seconds, strict=True))
    assert with_interval_s < without_s + 0.5


@contextmanager
def lone_message(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker, interval_ms: int
) -> Iterator[Iterator[float]]:
    """Yield the seconds from producing to reading, of one message after another."""
    topics = create_topics(admin, partitions=1)
    start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_COMMIT_INTERVAL_MS": str(interval_ms),
            "EMOTAG_LATENCY_SLO_MS": "2000",
        }
    )
    reader = Reader(bootstrap_servers, topics)

    def measure() -> Iterator[float]:
        for count in itertools.count(1):
            time.sleep(1.1)  # the pause before the message
            began = time.monotonic()
            send(bootstrap_servers, topics.input, [text(f"message {count}")])
            while reader.read.answered < count:
                assert reader.take(30)
            yield time.monotonic() - began

    measured = measure()
    next(measured)
    yield measured
    reader.close()
    for future in admin.delete_topics([topics.input, topics.output, topics.dlq]).values():
        future.result()


def trickle(bootstrap_servers: str, topics: Topics) -> None:
    """Send records one at a time, as they would come from many producers."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0}, logger=QUIET)
    began = time.monotonic()
    for number in range(RECORDS):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        producer.produce(topics.input, text(f"trickle {number}").value, partition=number % topics.partitions)
        producer.poll(0)
    assert 0 == producer.flush(30)


def read_commits(worker: LocalWorker) -> float:
    """Return the number of commits by the worker's own metric."""
    families = {family.name: family for family in text_string_to_metric_families(worker.get("/metrics")[1])}
    return families["emotag_commits"].samples[0].value


def count_offsets(bootstrap_servers: str, topics: Topics) -> int:
    """Return the number of offsets in the output topic: records and transaction markers."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "offsets"}, logger=QUIET)
    with closing(consumer):
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topics.output, partition), timeout=30)[1]
            for partition in range(topics.partitions)
        ]
    return sum(ends)
