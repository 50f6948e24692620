"""A partition with a backlog, and another one whose records arrive one at a time."""

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from emotag_worker.local.demo_records import read_sample_texts
from tests.acceptance.conftest import StartWorker
from tests.conftest import QUIET, Topics
from tests.stream import new_producer

HOT, LIVE = 0, 1
BACKLOG = 6_000
LIVES = 8
BATCH = 32
LONGEST_WAIT = 20 * BATCH
"""Results of the backlog that may come before that of a live record: the batches in flight, and those that complete
while the record is on its way, also on a machine that is slow to run the test."""


@pytest.fixture
def results(bootstrap_servers: str, topics: Topics) -> Iterator[Consumer]:
    """A consumer of all results, in the order of their commits."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": f"{topics.group}-reader", "enable.auto.commit": False},
        logger=QUIET,
    )
    consumer.assign([TopicPartition(topics.output, partition, 0) for partition in range(topics.partitions)])
    yield consumer
    consumer.close()


@pytest.mark.timeout(300)
def test_a_live_record_does_not_wait_for_the_backlog_of_another_partition(
    bootstrap_servers: str, topics: Topics, results: Consumer, start_worker: StartWorker
) -> None:
    """Counted in results of the backlog instead of seconds, so the speed of the machine does not matter."""
    words = read_sample_texts()
    producer = new_producer(bootstrap_servers)
    for number in range(BACKLOG):
        producer.produce(topics.input, _encode(f"{words[number % len(words)]} {number}"), partition=HOT)
        producer.poll(0)
    assert 0 == producer.flush(60)
    start_worker({**topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": str(BATCH)})
    _await_result(results, HOT)
    waits = []
    for number in range(LIVES):
        producer.produce(topics.input, _encode(f"a live record {number}"), partition=LIVE)
        assert 0 == producer.flush(30)
        waits.append(_await_result(results, LIVE))
    assert max(waits) <= LONGEST_WAIT, waits
    assert LONGEST_WAIT < BACKLOG - sum(waits), "the backlog must last until the last live record"


def _encode(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


def _await_result(results: Consumer, partition: int) -> int:
    """Read until there is a result of the input *partition*; return the number of results of others before it."""
    others = 0
    while True:
        message = results.poll(60)
        assert message is not None, "no result for 60 s"
        assert message.error() is None
        if json.loads(message.value() or b"")["source"]["partition"] == partition:
            return others
        others += 1
