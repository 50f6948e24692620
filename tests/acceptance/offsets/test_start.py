"""Where a group begins that has no committed offsets, and what it reports about that."""

import json
import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Place, Reader, Sent, new_producer, send, text

pytestmark = pytest.mark.timeout(900)

WAIT_S = 200.0
"""Longest wait for a worker, which takes long to start on a busy machine."""


def some(count: int, *, at_ms: int | None = None) -> list[Sent]:
    """Return records of different texts."""
    texts = [text(f"so happy {number}") for number in range(count)]
    return texts if at_ms is None else [Sent(each.value, timestamp_ms=at_ms) for each in texts]


def events(worker: LocalWorker, name: str) -> list[dict[str, Any]]:
    """Return all log lines of this event."""
    lines = [line for line in worker.read_log_tail(500).splitlines() if line.startswith("{")]
    return [found for found in map(json.loads, lines) if found["event"] == name]


def await_events(worker: LocalWorker, name: str, count: int) -> list[dict[str, Any]]:
    """Wait until the worker has logged this event that often."""
    give_up_at = time.monotonic() + WAIT_S
    while len(found := events(worker, name)) < count and time.monotonic() < give_up_at:
        time.sleep(0.1)
    assert len(found) >= count, (name, worker.read_log_tail(20))
    return found


def await_choices(worker: LocalWorker, partitions: int) -> list[dict[str, Any]]:
    """Wait until the worker has chosen a start for so many partitions, of which the client may report one at a time."""
    give_up_at = time.monotonic() + WAIT_S
    while sum(event["partitions"] for event in events(worker, "start_chosen")) < partitions:
        assert time.monotonic() < give_up_at, worker.read_log_tail(20)
        time.sleep(0.1)
    return events(worker, "start_chosen")


def forget_offsets(admin: AdminClient, topics: Topics) -> None:
    """Delete the group, like the brokers do with the offsets of a group without members."""
    (deleted,) = admin.delete_consumer_groups([topics.group]).values()
    deleted.result()


def fetch_committed(admin: AdminClient, topics: Topics) -> dict[int, int]:
    """Return the committed offset of each partition that has one."""
    asked = ConsumerGroupTopicPartitions(topics.group, [TopicPartition(topics.input, n) for n in range(8)])
    (answer,) = admin.list_consumer_group_offsets([asked]).values()
    return {at.partition: at.offset for at in answer.result().topic_partitions if at.offset >= 0}


def test_a_group_without_offsets_reads_everything_and_says_so(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """Kafka forgets the offsets of a group without members: the topic is then tagged again, with a warning."""
    sent = send(bootstrap_servers, topics.input, some(40))
    worker = start_worker(topics.environment(bootstrap_servers))
    reader = Reader(bootstrap_servers, topics)
    reader.until(len(sent), timeout_s=WAIT_S)
    worker.stop()
    before = events(worker, "start_chosen")
    forget_offsets(admin, topics)
    worker.launch()
    again = await_choices(worker, 2 * topics.partitions)[len(before) :]
    # The client may report the partitions in several polls. From the second one on, the group has an offset again. The
    # first one has no warning if its partitions are empty.
    level = "warning" if again[0]["records_ahead"] else "info"
    assert (level, True) == (again[0]["level"], "deleted" in again[0]["reason"])
    assert {"earliest"} == {event["start"] for event in again}
    assert 40 == sum(event["records_ahead"] for event in again)
    started = await_events(worker, "partition_started", 2 * topics.partitions)[topics.partitions :]
    assert {None} == {event["committed"] for event in started}
    assert 40 == sum(event["records_ahead"] for event in started)
    give_up_at = time.monotonic() + WAIT_S
    while reader.read.times().total() < 2 * len(sent) and time.monotonic() < give_up_at:
        reader.take(0.2)
    assert dict.fromkeys(sent, 2) == reader.read.times()
    reader.close()


def test_an_assignment_is_logged_with_its_offsets_and_the_records_ahead(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    worker = start_worker(topics.environment(bootstrap_servers))
    reader = Reader(bootstrap_servers, topics)
    first = send(bootstrap_servers, topics.input, some(20))
    reader.until(len(first), timeout_s=WAIT_S)
    worker.stop()
    later = send(bootstrap_servers, topics.input, some(30))
    worker.launch()
    started = await_events(worker, "partition_started", 2 * topics.partitions)[topics.partitions :]
    reader.until(len(first) + len(later), timeout_s=WAIT_S)
    reader.close()
    assert {event["committed"] for event in started} == {event["start"] for event in started}
    assert (20, 30) == (sum(event["start"] for event in started), sum(event["records_ahead"] for event in started))


def test_with_latest_history_is_left_and_nothing_later(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """The start is committed at once: what arrives while the worker is away is read, also in an empty partition."""
    before = send(bootstrap_servers, topics.input, some(40))
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__START": "latest"}
    worker = start_worker(environment)
    chosen = await_choices(worker, topics.partitions)
    assert {("latest", 0)} == {(event["start"], event["records_ahead"]) for event in chosen}
    assert 4 == len(fetch_committed(admin, topics))
    worker.kill()
    after = send(bootstrap_servers, topics.input, some(40))
    worker.launch()
    reader = Reader(bootstrap_servers, topics)
    assert dict.fromkeys(after, 1) == reader.until(len(after), timeout_s=WAIT_S).times()
    assert not before.keys() & after.keys()
    reader.close()


def test_with_latest_a_new_partition_is_read_from_its_beginning(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """Workers notice a new partition minutes after producers do: here only after a restart."""
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__START": "latest"}
    worker = start_worker(environment)
    await_events(worker, "start_chosen", 1)
    first = send(bootstrap_servers, topics.input, some(20))
    reader = Reader(bootstrap_servers, topics)
    reader.until(len(first), timeout_s=WAIT_S)
    worker.stop()
    (added,) = admin.create_partitions([NewPartitions(topics.input, 5)]).values()
    added.result()
    new = send_to_partition(bootstrap_servers, topics.input, 4, some(25))
    worker.launch()
    read = reader.until(len(first) + len(new), timeout_s=WAIT_S)
    assert dict.fromkeys([*first, *new], 1) == read.times()
    reader.close()


def send_to_partition(bootstrap_servers: str, topic: str, partition: int, records: list[Sent]) -> list[Place]:
    """Produce records to one partition; return their positions."""
    placed: list[Place] = []
    producer = new_producer(bootstrap_servers)
    give_up_at = time.monotonic() + 30
    while partition not in producer.list_topics(topic, timeout=10).topics[topic].partitions:
        assert time.monotonic() < give_up_at
    for sent in records:
        producer.produce(
            topic,
            value=sent.value,
            partition=partition,
            timestamp=sent.timestamp_ms,
            on_delivery=lambda error, message: placed.append(cast("Place", (message.partition(), message.offset()))),
        )
    assert 0 == producer.flush(30)
    return placed


def test_a_time_is_where_a_new_group_begins(bootstrap_servers: str, topics: Topics, start_worker: StartWorker) -> None:
    cut_ms = int(time.time() - 1800) * 1000
    send(bootstrap_servers, topics.input, some(20, at_ms=cut_ms - 1))
    wanted = send(bootstrap_servers, topics.input, some(20, at_ms=cut_ms))
    start = datetime.fromtimestamp(cut_ms / 1000, UTC).isoformat()
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_INPUT__START": start})
    assert 20 == sum(event["records_ahead"] for event in await_choices(worker, topics.partitions))
    reader = Reader(bootstrap_servers, topics)
    assert dict.fromkeys(wanted, 1) == reader.until(len(wanted), timeout_s=WAIT_S).times()
    reader.close()


def test_with_committed_a_group_without_offsets_does_not_start(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    send(bootstrap_servers, topics.input, some(10))
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__START": "committed"}
    refused = start_worker(environment)
    assert 2 == refused.wait(WAIT_S)
    assert "emotag offsets reset" in refused.read_log_tail(1)
    environment["EMOTAG_INPUT__START"] = "earliest"
    worker = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    reader.until(10, timeout_s=WAIT_S)
    worker.stop()
    more = send(bootstrap_servers, topics.input, some(10))
    start_worker({**environment, "EMOTAG_INPUT__START": "committed"})
    assert 20 == reader.until(20, timeout_s=WAIT_S).times().total()
    assert 10 == len(more)
    reader.close()
