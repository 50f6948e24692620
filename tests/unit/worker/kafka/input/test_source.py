"""Rebalances, errors and unusual records, as a member of the group handles them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from emotag_worker import errors
from emotag_worker.kafka.input.backfill import Backfill
from emotag_worker.kafka.input.positions import Positions
from emotag_worker.kafka.input.progress import ReadProgress
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.input.unreadable import Unreadable
from emotag_worker.kafka.offsets import Committed
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.record import Partition
from tests.unit.worker.kafka.scripted import (
    TOPIC,
    ChosenOffsets,
    RestartableConsumer,
    ScriptedConsumer,
    ScriptedMessage,
    Turn,
    nothing,
    nothing_forgotten,
    places,
    source_of,
    subscribed,
)


def joined_after_each_of(polls: int, source: KafkaSource) -> list[bool]:
    found = []
    for _ in range(polls):
        assert [] == places(source)
        found.append(source.joined)
    return found


@pytest.mark.parametrize(("before", "first"), [([Turn(message=ScriptedMessage((1, 7)))], 7), ([], 8)])
def test_a_record_that_comes_beside_a_failed_revoke_is_read_again(before: list[Turn], first: int) -> None:
    """One poll revoked partition 0, whose last batch was aborted, and returned a record of partition 1, which stays."""

    def aborted() -> None:
        raise errors.BatchAborted("aborted")

    source, consumer = subscribed(*before, Turn(revoked=[0], message=ScriptedMessage((1, 8))), before_revoke=aborted)
    with pytest.raises(errors.BatchAborted):
        source.poll(10, 1_000_000, timeout_s=0)
    assert {1: first} == consumer.seeks


def test_batches_of_a_failed_revoke_are_dropped_before_the_partition_can_come_back() -> None:
    """A poll revokes partition 0, cannot commit its batch, and assigns it again: others may have read it meanwhile."""

    def aborted() -> None:
        raise errors.BatchAborted("aborted")

    dropped: list[str] = []

    def forget() -> Mapping[Partition, int]:
        dropped.append("batches")
        return {(TOPIC, 0): 3, (TOPIC, 1): 5}

    turn = Turn(revoked=[0])
    source, consumer = subscribed(turn, before_revoke=aborted, when_lost=forget)
    with pytest.raises(errors.BatchAborted):
        places(source)
    assert (["batches"], {1: 5}) == (dropped, consumer.seeks)


def test_a_client_that_was_replaced_changes_nothing_when_it_leaves() -> None:
    """It may take longer to leave than the worker waits for it."""
    told: list[str] = []
    source, consumer = subscribed(before_revoke=lambda: told.append("finish"))
    source.attach(lambda: cast("Consumer", ScriptedConsumer([])))
    for callback in consumer.callbacks.values():
        callback(consumer, [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 7)])
    assert (2, []) == (source.assigned, told)


class SkipsTwo:
    """Skips two records for each unreadable batch."""

    def skip(self, consumer: Consumer, partition: tuple[str, int], first: int, _: ReadProgress) -> None:
        consumer.seek(TopicPartition(*partition, first + 2))


STOPPED_AT_3 = ScriptedMessage((1, 3), failure=KafkaError(KafkaError._AUTO_OFFSET_RESET, "Broker: Offset out of range"))


def with_positions(
    *turns: Turn, backfill: Backfill | None = None, **callbacks: Any
) -> tuple[KafkaSource, RestartableConsumer]:
    """A source that owns partitions 0 and 1, and continues those that the client stops at offset 10."""
    positions = Positions(
        ChosenOffsets({0: Committed(12), 1: Committed(12)}).as_reader(),
        start="earliest",
        deadline_s=60,
        telemetry=Telemetry(),
    )
    source = KafkaSource(
        TOPIC,
        deadline_s=1,
        telemetry=Telemetry(),
        positions=positions,
        backfill=backfill,
        unreadable=cast("Unreadable", SkipsTwo()),
    )
    consumer = RestartableConsumer([Turn(assigned=[0, 1]), *turns])
    source.attach(lambda: cast("Consumer", consumer))
    source.subscribe(**{"before_revoke": nothing, "when_lost": nothing_forgotten, **callbacks})
    assert [] == places(source)
    return source, consumer


def test_a_partition_that_stops_beside_a_failed_revoke_is_continued() -> None:
    """The client reports it once, in the poll that also fails: nobody would read the partition again."""

    def aborted() -> None:
        raise errors.BatchAborted("aborted")

    source, consumer = with_positions(Turn(revoked=[0], message=STOPPED_AT_3), before_revoke=aborted)
    with pytest.raises(errors.BatchAborted):
        places(source)
    assert [] == places(source)
    assert {1: 10} == consumer.read_from


def test_a_stopped_partition_is_not_sought_in_but_continued_where_the_batch_began() -> None:
    """The client refuses to seek there, and the worker would end."""
    at = ScriptedMessage((1, 18), failure=STOPPED_AT_3.failure)
    source, consumer = with_positions(Turn(message=at))
    source.stay()
    source.rewind({(TOPIC, 1): 14, (TOPIC, 9): 1})
    assert {} == consumer.seeks
    assert [] == places(source)
    assert {1: 14} == consumer.read_from


@pytest.mark.parametrize("arrived", [None, KafkaError(KafkaError._PARTITION_EOF)], ids=["a record", "the end"])
def test_nothing_counts_that_a_client_returns_before_it_reads_again(arrived: KafkaError | None) -> None:
    """It may begin to read by itself after it refused to seek: behind a batch that is to be read again."""
    source, consumer = with_positions(Turn(message=ScriptedMessage((1, 18), failure=arrived)))
    consumer.busy = True
    source.rewind({(TOPIC, 1): 14})
    assert [] == places(source)
    assert {1: 14} == consumer.read_from
    source.note_committed({(TOPIC, 1): 14})
    assert {} == source.find_drained()


def test_an_unreadable_batch_is_not_skipped_after_the_records_before_it_were_rewound() -> None:
    """One call reports the batch, and revokes a partition, which fails: the records from 14 on are read again."""

    def aborted() -> None:
        raise errors.BatchAborted("aborted")

    bad = ScriptedMessage((1, 18), failure=KafkaError(KafkaError._BAD_COMPRESSION))
    source, consumer = with_positions(
        Turn(revoked=[0], message=bad), before_revoke=aborted, when_lost=lambda: {(TOPIC, 1): 14}
    )
    with pytest.raises(errors.BatchAborted):
        places(source)
    assert {1: 14} == consumer.seeks


def test_a_bounded_run_commits_its_end_only_after_the_records_before_a_gap() -> None:
    """Record 12 is on its way to a commit when retention deletes the rest of the range, which ends at 15."""
    reader = ChosenOffsets({0: Committed(12)}).as_reader()
    backfill = Backfill(reader, TOPIC, datetime(2026, 11, 30, tzinfo=UTC))
    backfill.find_ends()
    source, consumer = with_positions(Turn(message=ScriptedMessage((0, 12))), backfill=backfill)
    assert [(0, 12)] == places(source)
    stopped = ScriptedMessage((0, 13), failure=STOPPED_AT_3.failure)
    end = ScriptedMessage((0, 20), failure=KafkaError(KafkaError._PARTITION_EOF))
    consumer.turns = [Turn(message=stopped), Turn(), Turn(message=end), Turn()]
    for _ in range(3):
        assert [] == places(source)
    assert {} == consumer.commits
    source.note_committed({(TOPIC, 0): 13})
    assert [] == places(source)
    assert {0: 15} == consumer.commits


def test_the_end_of_a_partition_is_committed_while_this_worker_owns_it() -> None:
    """The end of partition 2, which never belonged to this worker, is another worker's business."""
    ends = [ScriptedMessage((number, 7), failure=KafkaError(KafkaError._PARTITION_EOF)) for number in (0, 1, 2)]
    source, _ = subscribed(*(Turn(message=each) for each in ends), Turn(), Turn(revoked=[1]))
    before = source.proven
    assert [] == places(source)
    assert (False, True) == (before, source.proven)
    assert {(TOPIC, 0): 7, (TOPIC, 1): 7} == source.find_drained()
    assert [] == places(source)
    assert {(TOPIC, 0): 7} == source.find_drained()


@pytest.mark.parametrize(("later", "drained"), [([], {(TOPIC, 0): 7}), ([Turn(message=ScriptedMessage((0, 7)))], {})])
def test_an_end_is_none_any_more_if_a_record_follows_it_in_the_same_call(
    later: list[Turn], drained: Mapping[Partition, int]
) -> None:
    end = ScriptedMessage((0, 7), failure=KafkaError(KafkaError._PARTITION_EOF))
    source, _ = subscribed(Turn(message=ScriptedMessage((1, 0))), Turn(message=end), *later)
    places(source)
    assert drained == source.find_drained()


def test_records_of_revoked_partitions_are_left_to_their_new_owner() -> None:
    """Records of revoked partitions are dropped, other records stay, and batches in progress are finished."""
    finished: list[str] = []
    source, consumer = subscribed(
        Turn(message=ScriptedMessage((0, 3))),
        Turn(message=ScriptedMessage((1, 5))),
        Turn(revoked=[0], message=ScriptedMessage((1, 6))),
        before_revoke=lambda: finished.append("finished"),
    )
    assert [(1, 5), (1, 6)] == places(source)
    assert ["finished"] == finished
    assert 1 == source.assigned
    source.rewind({("texts", 0): 3, ("texts", 1): 5})
    assert {1: 5} == consumer.seeks


def test_a_partition_that_goes_and_comes_back_within_one_call_is_read_once() -> None:
    """Records from before it went are not committed: the partition begins again at the committed offset."""
    source, consumer = subscribed(
        Turn(message=ScriptedMessage((1, 5))),
        Turn(message=ScriptedMessage((0, 3))),
        Turn(revoked=[0], message=ScriptedMessage((1, 6))),
        Turn(assigned=[0], message=ScriptedMessage((1, 7))),
        Turn(),
        Turn(message=ScriptedMessage((0, 3))),
    )
    before = consumer.pauses
    assert [(1, 5), (1, 6), (1, 7)] == places(source)
    assert before + 1 == consumer.pauses
    assert set() == consumer.paused
    assert [(0, 3)] == places(source)


def test_partitions_that_are_lost_are_not_worked_on_any_more() -> None:
    """Another worker may be at them already: nothing is finished, all is forgotten."""
    told: list[str] = []

    def forget() -> Mapping[Partition, int]:
        told.append("forget")
        return {(TOPIC, 0): 2, (TOPIC, 1): 5}

    source, consumer = subscribed(
        Turn(message=ScriptedMessage((0, 3))),
        Turn(lost=[0, 1]),
        before_revoke=lambda: told.append("finish"),
        when_lost=forget,
    )
    assert [] == places(source)
    assert ["forget"] == told
    assert 0 == source.assigned
    assert {} == consumer.seeks


def test_a_worker_for_whom_no_partition_is_left_has_joined_all_the_same() -> None:
    """A rollout starts workers beyond the partitions, and waits until they are ready."""
    source = source_of(consumer := ScriptedConsumer([Turn(), Turn(assigned=[])]))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    assert [False, True] == joined_after_each_of(2, source)
    assert 0 == source.assigned
    assert [] == consumer.turns


def test_a_worker_that_lost_its_partitions_has_not_joined_until_it_is_assigned_anew() -> None:
    source, _ = subscribed(Turn(lost=[0, 1]), Turn(assigned=[]))
    assert source.joined
    assert [False, True] == joined_after_each_of(2, source)


def test_an_end_that_the_group_has_committed_before_is_not_committed_again() -> None:
    """An idle worker writes no transaction. The group has committed the end of partition 0, and 5 of partition 1."""
    ends = [Turn(message=ScriptedMessage((n, 20), failure=KafkaError(KafkaError._PARTITION_EOF))) for n in (0, 1)]
    brokers = ChosenOffsets({0: Committed(20), 1: Committed(5)})
    positions = Positions(brokers.as_reader(), start="earliest", deadline_s=1, telemetry=Telemetry())
    source = KafkaSource(TOPIC, deadline_s=1, telemetry=Telemetry(), positions=positions)
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *ends])
    source.attach(lambda: cast("Consumer", consumer))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    for _ in range(4):
        assert [] == places(source)
    assert {(TOPIC, 1): 20} == source.find_drained()


def test_what_was_forgotten_with_lost_partitions_and_is_still_ours_is_read_again() -> None:
    """A batch may contain records of both, and so may the poll in which the loss happens."""
    source, consumer = subscribed(
        Turn(message=ScriptedMessage((1, 7))),
        Turn(lost=[0], message=ScriptedMessage((1, 8))),
        when_lost=lambda: {(TOPIC, 0): 2, (TOPIC, 1): 5},
    )
    assert [] == places(source)
    assert {1: 5} == consumer.seeks


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, errors.GroupRefused),
        (KafkaError.INVALID_SESSION_TIMEOUT, errors.GroupRefused),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, errors.TopicMissing),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, errors.StopWorker),
    ],
)
def test_an_error_that_will_not_pass_stops_the_worker(code: int, expected: type[errors.StopWorker]) -> None:
    """The client would retry forever, and the worker would idle without an error."""
    source, _ = subscribed(Turn(message=ScriptedMessage(failure=KafkaError(code))))
    with pytest.raises(expected):
        source.poll(10, 1_000_000, timeout_s=0)


def test_a_poll_ends_with_the_record_that_fills_the_bytes_of_a_batch() -> None:
    """However few records that is: memory is bounded by what is in them, not by how many they are."""
    turns = [Turn(message=ScriptedMessage((0, offset), b"x" * 100)) for offset in range(5)]
    source, _ = subscribed(*turns)
    assert [3, 2] == [len(source.poll(10, 250, timeout_s=0)) for _ in range(2)]
