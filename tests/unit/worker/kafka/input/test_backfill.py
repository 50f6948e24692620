"""A bounded run ends after the last record of its range, and not before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import Denied
from emotag_worker.kafka.input import backfill as backfill_
from emotag_worker.kafka.input.backfill import Backfill
from emotag_worker.kafka.input.positions import Positions
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.offsets import Committed
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.record import Partition
from tests.unit.worker.kafka.scripted import (
    TOPIC,
    ChosenOffsets,
    RestartableConsumer,
    ScriptedMessage,
    Turn,
    all_of,
    nothing,
    nothing_forgotten,
    places,
)

ZERO, ONE = all_of(2)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_, "CHECK_S", 0.0)


def committed(_: Partition) -> bool:
    return True


def not_yet(_: Partition) -> bool:
    return False


class Client:
    """A consumer that notes what it is told."""

    def __init__(self) -> None:
        self.paused: set[int] = set()
        self.commits: dict[int, int] = {}
        self.refusal: int | None = None

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused |= {at.partition for at in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused -= {at.partition for at in partitions}

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        if self.refusal is not None:
            raise KafkaException(KafkaError(self.refusal))
        self.commits |= {at.partition: at.offset for at in offsets}


def backfill_of(client: Client, brokers: ChosenOffsets) -> Backfill:
    """A range that ends at offset 15 of both partitions."""
    made = Backfill(brokers.as_reader(), TOPIC, datetime(2026, 11, 30, tzinfo=UTC))
    made.attach(cast("Consumer", client))
    made.find_ends()
    return made


def test_records_at_the_end_and_after_it_are_left() -> None:
    backfill = backfill_of(client := Client(), ChosenOffsets({}))
    assert [True, False, False] == [backfill.accept(ZERO, offset) for offset in (14, 15, 16)]
    assert {0} == client.paused


def test_the_end_is_committed_once_all_results_before_it_are() -> None:
    backfill = backfill_of(client := Client(), ChosenOffsets({}))
    backfill.accept(ZERO, 12)
    backfill.note_position(ZERO, 15)  # offsets 13 and 14 are ends of transactions
    backfill.settle(not_yet)
    assert {} == client.commits
    client.refusal = KafkaError.REBALANCE_IN_PROGRESS
    backfill.settle(committed)
    assert {} == client.commits
    client.refusal = None
    backfill.settle(committed)
    assert {0: 15} == client.commits


def test_a_partition_that_is_read_again_has_not_reached_the_end() -> None:
    """Its last batch was aborted after the client had paused."""
    backfill = backfill_of(client := Client(), ChosenOffsets({}))
    backfill.accept(ZERO, 14)
    backfill.accept(ZERO, 15)
    backfill.read_again({ZERO: 14})
    backfill.settle(committed)
    assert (set(), {}) == (client.paused, client.commits)


def test_the_range_is_done_when_every_worker_is() -> None:
    brokers = ChosenOffsets({0: Committed(15), 1: Committed(14)})
    backfill = backfill_of(Client(), brokers)
    assert not backfill.is_done([ZERO])  # this worker has not finished
    backfill.note_position(ZERO, 15)
    backfill.settle(committed)
    assert not backfill.is_done([ZERO])  # another worker has not finished
    brokers.failing = True
    assert not backfill.is_done([ZERO])
    brokers.failing = False
    brokers.committed[1] = Committed(15)
    assert backfill.is_done([ZERO])


def test_a_partition_that_was_added_meanwhile_is_not_part_of_the_range() -> None:
    backfill = backfill_of(Client(), ChosenOffsets({}))
    assert not backfill.accept((TOPIC, 7), 0)


def test_an_end_never_takes_back_what_a_worker_with_a_later_end_has_committed() -> None:
    """Without a record after the range, its end is the end of the partition when a worker starts."""
    backfill = backfill_of(client := Client(), ChosenOffsets({0: Committed(18), 1: Committed(15)}))
    backfill.note_position(ZERO, 18)
    backfill.settle(committed)
    assert {} == client.commits
    assert backfill.is_done([ZERO])


def test_a_worker_that_may_not_commit_ends_with_an_error_in_place_of_waiting() -> None:
    backfill = backfill_of(client := Client(), ChosenOffsets({}))
    client.refusal = KafkaError.GROUP_AUTHORIZATION_FAILED
    backfill.note_position(ZERO, 15)
    with pytest.raises(Denied):
        backfill.settle(committed)


class WatchedConsumer(RestartableConsumer):
    """Notes which partitions are paused when the last message arrives."""

    paused_at_last: frozenset[int] = frozenset()

    def poll(self, timeout_s: float) -> ScriptedMessage | None:
        message = super().poll(timeout_s)
        self.paused_at_last = self.paused_at_last if message is None else frozenset(self.paused)
        return message


def finished(*turns: Turn) -> tuple[KafkaSource, WatchedConsumer]:
    """A bounded run that has reached the end of its range in partition 0, at offset 15."""
    brokers = ChosenOffsets({0: Committed(12), 1: Committed(12)}).as_reader()
    backfill = Backfill(brokers, TOPIC, datetime(2026, 11, 30, tzinfo=UTC))
    backfill.find_ends()
    positions = Positions(brokers, start="earliest", deadline_s=60, telemetry=Telemetry())
    source = KafkaSource(TOPIC, deadline_s=1, telemetry=Telemetry(), positions=positions, backfill=backfill)
    consumer = WatchedConsumer([Turn(assigned=[0, 1], message=ScriptedMessage((0, 15))), Turn(), *turns])
    source.attach(lambda: cast("Consumer", consumer))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    assert [] == places(source)
    assert {0} == consumer.paused
    return source, consumer


def test_a_finished_partition_that_goes_and_comes_back_within_one_call_is_paused_until_its_end() -> None:
    """Else a new record would be dropped together with the old ones."""
    first, second, third = (Turn(message=ScriptedMessage((1, offset))) for offset in (12, 13, 14))
    source, consumer = finished(first, replace(second, revoked=[0]), replace(third, assigned=[0]))
    places(source)
    assert {0} == consumer.paused_at_last
    assert set() == consumer.paused


def test_a_finished_partition_is_not_resumed_when_its_queue_is_empty() -> None:
    """The client would fetch the rest of the topic, only for the worker to drop it."""
    source, consumer = finished()
    source._resume([(TOPIC, 0), (TOPIC, 1)])
    assert {0} == consumer.paused
