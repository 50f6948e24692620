"""Unreadable batches are skipped, whatever their sizes, and no record behind them is."""

from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from emotag_worker.errors import DataLoss
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.input.unreadable import Unreadable, find_readable
from emotag_worker.observability.telemetry import Telemetry
from tests.unit.worker.kafka.scripted import (
    TOPIC,
    ScriptedConsumer,
    ScriptedMessage,
    Turn,
    no_positions,
    nothing,
    nothing_forgotten,
    places,
)

BAD = KafkaError(KafkaError._BAD_COMPRESSION)


class Log:
    """A partition of batches, each with its size and whether it can be read."""

    def __init__(self, batches: list[tuple[int, bool]]) -> None:
        self.firsts: list[int] = []
        self.readable: list[bool] = []
        for size, readable in batches:
            self.firsts += [len(self.readable)] * size
            self.readable += [readable] * size
        self.attempts = 0

    def attempt(self, offset: int) -> int | None:
        self.attempts += 1
        return None if self.readable[offset] else self.firsts[offset]


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=12), st.integers(1, 300))
def test_the_first_readable_record_behind_a_bad_batch_is_found(batches: list[tuple[int, bool]], size: int) -> None:
    log = Log([(size, False), *batches])
    expected = next((at for at, readable in enumerate(log.readable) if readable), len(log.readable))
    assert expected == find_readable(0, len(log.readable), log.attempt)


@pytest.mark.parametrize(("size", "most"), [(1, 2), (5, 8), (10_000, 30)])
def test_a_small_batch_is_found_in_few_attempts(size: int, most: int) -> None:
    log = Log([(size, False), (1_000_000, True)])
    assert size == find_readable(0, len(log.readable), log.attempt)
    assert log.attempts <= most


class Finder:
    """A client that reads a log, and closes."""

    def __init__(self, log: Log, failure: KafkaError | None = None) -> None:
        self.log, self.failure, self.closed = log, failure, False

    def get_watermark_offsets(self, partition: TopicPartition, *, timeout: float) -> tuple[int, int]:
        return 0, len(self.log.readable)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.at = partitions[0].offset

    def poll(self, timeout_s: float) -> ScriptedMessage | None:
        found = self.log.attempt(self.at)
        if self.failure is not None:
            return ScriptedMessage((0, 0), failure=self.failure)
        return ScriptedMessage((0, self.at)) if found is None else ScriptedMessage((0, found), failure=BAD)

    def close(self) -> None:
        self.closed = True


def source_of(finder: Finder, *turns: Turn, stop_at_gap: bool = False) -> tuple[KafkaSource, ScriptedConsumer]:
    """A source that owns partitions 0 and 1."""
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *turns])
    telemetry = Telemetry()
    unreadable = Unreadable(lambda: cast("Consumer", finder), telemetry, stop_at_gap=stop_at_gap)
    source = KafkaSource(TOPIC, deadline_s=1, telemetry=telemetry, positions=no_positions(), unreadable=unreadable)
    source.attach(lambda: cast("Consumer", consumer))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    assert [] == source.poll(10, 1_000_000, timeout_s=0)
    return source, consumer


TURNS = [
    Turn(message=ScriptedMessage((0, 3))),
    Turn(message=ScriptedMessage((0, 4), failure=BAD)),
    Turn(message=ScriptedMessage((1, 7))),
]
GOOD_AND_BAD = [(4, True), (6, False), (9, True)]


def test_the_records_before_a_bad_batch_are_kept_and_the_client_continues_behind_it() -> None:
    finder = Finder(Log(GOOD_AND_BAD))
    source, consumer = source_of(finder, *TURNS)
    with capture_logs() as lines:
        assert [(0, 3), (1, 7)] == places(source)
    assert ({0: 10}, True) == (consumer.seeks, finder.closed)
    (lost,) = (line for line in lines if line["event"] == "data_lost")
    assert ("unreadable", 4, 10, 6) == (lost["kind"], lost["position"], lost["resumed_at"], lost["records"])


def test_a_batch_that_is_read_again_is_reported_once() -> None:
    source, consumer = source_of(Finder(Log(GOOD_AND_BAD)), *TURNS)
    with capture_logs() as lines:
        places(source)
        consumer.seeks.clear()
        consumer.turns += TURNS
        places(source)
    assert {0: 10} == consumer.seeks
    assert 1 == sum(line["event"] == "data_lost" for line in lines)


def test_a_client_that_continues_by_itself_is_not_moved() -> None:
    """After a wrong checksum it reads on: the records that it has returned would come twice."""
    source, consumer = source_of(Finder(Log(GOOD_AND_BAD)), *TURNS[:2], Turn(message=ScriptedMessage((0, 10))))
    with capture_logs() as lines:
        assert [(0, 3), (0, 10)] == places(source)
    assert {} == consumer.seeks
    assert ["data_lost"] == [line["event"] for line in lines if line["event"] == "data_lost"]


def test_a_batch_is_skipped_although_reading_began_in_the_middle_of_it() -> None:
    """The client names the first offset of the batch, which is before the offset to read."""
    source, consumer = source_of(Finder(Log(GOOD_AND_BAD)), Turn(message=ScriptedMessage((0, 4), failure=BAD)))
    source.rewind({(TOPIC, 0): 7})
    assert [] == places(source)
    assert {0: 10} == consumer.seeks


def test_a_worker_that_must_not_lose_data_stops() -> None:
    source, consumer = source_of(Finder(Log(GOOD_AND_BAD)), *TURNS, stop_at_gap=True)
    with pytest.raises(DataLoss, match="offsets 4 to 9 of texts-0 cannot be read"):
        places(source)
    assert {} == consumer.seeks


def test_nothing_is_skipped_while_brokers_do_not_answer() -> None:
    finder = Finder(Log(GOOD_AND_BAD), failure=KafkaError(KafkaError._TRANSPORT))
    source, consumer = source_of(finder, *TURNS)
    assert [(0, 3), (1, 7)] == places(source)
    assert ({}, True) == (consumer.seeks, finder.closed)
