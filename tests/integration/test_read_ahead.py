"""A source that pauses a partition with a backlog, at a real broker: the client drops and fetches records again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.kafka.clients import create_offset_reader
from emotag_worker.kafka.input import readahead
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.service import open_source
from emotag_worker.settings import Settings
from emotag_worker.settings.stream import InputSettings, KafkaSettings
from emotag_worker.wire.record import Record
from tests.conftest import Topics, create_topics
from tests.stream import new_producer

HOT, LIVE = 0, 1
BACKLOG = 20_000
BATCH = 100
BATCH_BYTES = 1_048_576


@pytest.fixture
def two_partitions(admin: AdminClient, bootstrap_servers: str) -> Topics:
    """Topics whose partition `HOT` has a backlog."""
    topics = create_topics(admin, partitions=2)
    _produce(bootstrap_servers, topics, HOT, BACKLOG)
    return topics


@pytest.fixture
def start(
    two_partitions: Topics, bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], KafkaSource]]:
    """Start members of one group, which pause a partition from 400 records on and give up all in each rebalance."""
    monkeypatch.setattr(readahead, "LEAST_BYTES", 0)
    monkeypatch.setattr(readahead, "AHEAD_S", 0.0)
    eager = {"partition.assignment.strategy": "range"}
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers, group_id=two_partitions.group, properties=eager),
        input=InputSettings(topic=two_partitions.input),
    )
    started: list[KafkaSource] = []

    def start_one() -> KafkaSource:
        made = open_source(settings, create_offset_reader(settings), Telemetry())
        made.subscribe(before_revoke=lambda: None, when_lost=dict)
        started.append(made)
        return made

    yield start_one
    for each in started:
        each.close()


@pytest.fixture
def source(start: Callable[[], KafkaSource]) -> KafkaSource:
    """The only member, which owns both partitions."""
    return start()


@pytest.mark.timeout(180)
def test_each_record_is_read_once_and_in_order_though_its_partition_is_paused_again_and_again(
    source: KafkaSource, two_partitions: Topics, bootstrap_servers: str
) -> None:
    pauses = _count_pauses(source)
    read: dict[int, list[int]] = {HOT: [], LIVE: []}
    while len(read[HOT]) < BACKLOG // 2:
        _note(read, _poll(source))
    _produce(bootstrap_servers, two_partitions, LIVE, 3)
    before = len(read[HOT])
    while len(read[LIVE]) < 3:
        _note(read, _poll(source))
    assert len(read[HOT]) - before <= BACKLOG // 4
    while len(read[HOT]) < BACKLOG:
        _note(read, _poll(source))
    assert list(range(BACKLOG)) == read[HOT]
    assert [0, 1, 2] == read[LIVE]
    assert len(pauses) >= 3


@pytest.mark.timeout(180)
def test_a_paused_partition_is_read_again_from_where_it_is_rewound_to(
    source: KafkaSource, two_partitions: Topics
) -> None:
    pauses = _count_pauses(source)
    read: dict[int, list[int]] = {HOT: [], LIVE: []}
    while not pauses:
        _note(read, _poll(source))
    source.rewind({(two_partitions.input, HOT): 50})
    again: dict[int, list[int]] = {HOT: [], LIVE: []}
    while len(again[HOT]) < 5_000:
        _note(again, _poll(source))
    assert list(range(50, 50 + len(again[HOT]))) == again[HOT]


@pytest.mark.timeout(180)
def test_a_partition_that_went_while_it_was_paused_is_read_when_it_comes_back(
    source: KafkaSource, start: Callable[[], KafkaSource]
) -> None:
    """The client keeps the pause of a partition that this worker does not own."""
    pauses = _count_pauses(source)
    while not pauses:
        _poll(source)
    other = start()
    while not other.assigned:
        source.poll(1, BATCH_BYTES, timeout_s=0.1)
        other.poll(1, BATCH_BYTES, timeout_s=0.1)
    other.close()
    while source.assigned < 2:
        source.poll(1, BATCH_BYTES, timeout_s=0.1)
    while not any(record.offset == BACKLOG - 1 for record in _poll(source)):
        pass


def _produce(bootstrap_servers: str, topics: Topics, partition: int, count: int) -> None:
    producer = new_producer(bootstrap_servers)
    for _ in range(count):
        producer.produce(topics.input, b"a text of some length", partition=partition)
        producer.poll(0)
    assert 0 == producer.flush(60)


def _poll(source: KafkaSource) -> list[Record]:
    """Return the next records, within a minute."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        if records := source.poll(BATCH, BATCH_BYTES, timeout_s=0.5):
            return records
    raise TimeoutError("no record for 60 s")


def _note(read: dict[int, list[int]], records: list[Record]) -> None:
    for record in records:
        read[record.partition].append(record.offset)


def _count_pauses(source: KafkaSource) -> list[Any]:
    """Return a list that grows with each pause."""
    pauses: list[Any] = []
    consumer: Any = source._consumer
    pause = consumer.pause

    def note(partitions: list[Any]) -> None:
        pauses.append(partitions)
        pause(partitions)

    # The same object: the source ignores callbacks of any other.
    consumer.pause = note
    return pauses
