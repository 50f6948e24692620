"""The queues of the partitions: which records a batch takes, and which partitions are paused."""

from collections import Counter

import pytest

from emotag_worker.kafka.input import readahead
from emotag_worker.kafka.input.readahead import (
    AHEAD_S,
    FIRST_RECORDS_PER_S,
    LEAST_ARRIVALS,
    LEAST_BYTES,
    SLOWEST,
    TURN,
    Pace,
    ReadAhead,
)
from emotag_worker.kafka.input.source import BURST, KafkaSource
from emotag_worker.wire.record import Partition, Record
from tests.unit.worker.kafka.scripted import TOPIC, ScriptedConsumer, ScriptedMessage, Turn, places, subscribed

HOT: Partition = (TOPIC, 0)
LIVE: Partition = (TOPIC, 1)
BATCH_BYTES = 16 * 1_048_576


def record(partition: Partition, offset: int, size: int = 100) -> Record:
    return Record(*partition, offset, None, b"x" * size)


def filled(ahead: ReadAhead, partition: Partition, *, count: int, size: int = 100, first: int = 0) -> int:
    """Add records until their partition is paused; return their number."""
    for number in range(count):
        if ahead.add(partition, [record(partition, first + number, size)]):
            return number + 1
    return count


def planned(*, records: int = 100, partitions: int = 2) -> ReadAhead:
    ahead = ReadAhead()
    ahead.plan(records, BATCH_BYTES, partitions=partitions)
    return ahead


def test_a_batch_takes_turns_among_partitions_and_keeps_the_order_of_each() -> None:
    """The record that has just arrived is in the next batch, whatever is before it."""
    ahead = planned()
    filled(ahead, HOT, count=1000)
    filled(ahead, LIVE, count=3)
    taken = ahead.take(100, BATCH_BYTES)
    assert 100 == len(taken)
    assert [0, 1, 2] == [each.offset for each in taken if each.partition == 1]
    assert list(range(97)) == [each.offset for each in taken if each.partition == 0]


@pytest.mark.parametrize("records", [150, 9, 3])
def test_partitions_with_backlogs_get_equal_parts_of_a_batch(records: int) -> None:
    """Also in small batches: a slow worker, or one with a short latency objective, has no others."""
    ahead = planned(partitions=3)
    for number in range(3):
        filled(ahead, ("texts", number), count=1000)
    counts = Counter(each.partition for each in ahead.take(records, BATCH_BYTES))
    assert [pytest.approx(records / 3, abs=TURN if records > 3 * TURN else 0)] * 3 == [counts[0], counts[1], counts[2]]


def test_large_records_of_one_partition_leave_the_next_batch_to_the_others() -> None:
    """The bytes of a batch limit it before its records do."""
    ahead = planned()
    filled(ahead, HOT, count=10, size=600_000)
    filled(ahead, LIVE, count=1)
    batches = [ahead.take(100, 1_000_000) for _ in range(2)]
    assert [0, 0] == [each.partition for each in batches[0]]
    assert 1 == batches[1][0].partition


def test_more_is_read_until_each_partition_has_its_share() -> None:
    ahead = planned(records=100)
    filled(ahead, HOT, count=500)
    assert ahead.wants_more
    filled(ahead, LIVE, count=50)
    assert not ahead.wants_more


def test_a_single_partition_is_read_up_to_one_batch_and_never_paused() -> None:
    ahead = planned(records=100, partitions=1)
    assert 99 == filled(ahead, HOT, count=99)
    assert ahead.wants_more
    assert not ahead.add(HOT, [record(HOT, 99)])
    assert not ahead.wants_more


def test_reading_ends_in_time_for_the_batch_though_another_partition_has_nothing() -> None:
    ahead = planned(records=100)
    filled(ahead, HOT, count=LEAST_ARRIVALS)
    assert not ahead.wants_more
    ahead.plan(100, BATCH_BYTES, partitions=2)
    assert ahead.wants_more


def test_a_partition_is_paused_when_it_holds_enough_and_resumed_at_half() -> None:
    ahead = planned(records=100)
    held = filled(ahead, HOT, count=100_000)
    assert held < 100_000
    assert LEAST_BYTES <= held * 400
    assert [] == ahead.resume()
    ahead.take(held // 2 - 1, BATCH_BYTES)
    assert [] == ahead.resume()
    ahead.take(2, BATCH_BYTES)
    assert [HOT] == ahead.resume()
    assert [] == ahead.resume()


def test_a_fast_worker_reads_further_ahead() -> None:
    """At least the records of `AHEAD_S`, because a resumed partition needs a second until its next records come."""
    ahead = ReadAhead()
    for now in (10.0, 11.0, 12.0):
        ahead.pace.note(4000, left=1, now=now)
    ahead.plan(100, BATCH_BYTES, partitions=2)
    assert AHEAD_S * 4000 == filled(ahead, HOT, count=100_000, size=1000)


def test_long_queues_leave_room_for_a_partition_that_has_nothing_yet() -> None:
    """All queues together stay below their limit, whatever the number of partitions with a backlog."""
    ahead = ReadAhead()
    ahead.pace.records_per_s = 0.0
    ahead.plan(100, BATCH_BYTES, partitions=9)
    held = [filled(ahead, ("texts", number), count=100_000, size=100_000) for number in range(8)]
    assert held == sorted(held, reverse=True)
    assert sum(held) * 100_300 < 4 * BATCH_BYTES
    assert not ahead.add(("texts", 8), [record(("texts", 8), 0, 100_000)])


def test_dropped_records_are_gone_and_their_partition_is_paused_no_more() -> None:
    ahead = planned()
    filled(ahead, HOT, count=100_000)
    filled(ahead, LIVE, count=2)
    assert [HOT] == ahead.drop([HOT, ("texts", 7)])
    assert 2 == len(ahead)
    assert [0, 1] == [each.offset for each in ahead]
    assert [] == ahead.resume()
    assert [] == ahead.drop([LIVE])
    assert not ahead


def test_the_pace_counts_only_while_records_are_left() -> None:
    """Else the time without records would count, and a backlog would be read in small pieces."""
    pace = Pace()
    for now in range(4):
        pace.note(10, left=0, now=float(now))
    assert FIRST_RECORDS_PER_S == pace.records_per_s
    for number in range(99):
        pace.note(100, left=1, now=10 + number / 4)
    assert pytest.approx(400) == pace.records_per_s


def test_a_moment_without_progress_is_no_slow_worker() -> None:
    """Else a fast partition would be paused, and its records would run out before the client fetches the next ones."""
    pace = Pace()
    for now in (10.0, 11.0, 20.0):
        pace.note(15_000, left=1, now=now)
    assert SLOWEST * 15_000 == pace.records_per_s


def test_a_fast_partition_that_fills_the_memory_ends_the_reading_and_is_not_paused() -> None:
    """The client could not fetch its next records before these are processed."""
    ahead = ReadAhead()
    ahead.pace.note(15_000, left=1, now=10.0)
    ahead.pace.note(15_000, left=1, now=11.0)
    ahead.plan(4096, BATCH_BYTES, partitions=2)
    held = 0
    while ahead.wants_more:
        assert not ahead.add(HOT, [record(HOT, held, 1000)])
        held += 1
        ahead.plan(4096, BATCH_BYTES, partitions=2)
    assert held * 1300 == pytest.approx(2 * BATCH_BYTES, abs=1300)
    ahead.take(4096, BATCH_BYTES)
    ahead.plan(4096, BATCH_BYTES, partitions=2)
    assert ahead.wants_more


def test_large_records_that_fill_the_memory_are_paused_at_once() -> None:
    """The client's own queue does not count headers, so it would hold thousands of them."""
    ahead = planned()
    size = 300_000
    assert filled(ahead, HOT, count=10_000, size=size) < 4 * BATCH_BYTES / size


def with_backlog(monkeypatch: pytest.MonkeyPatch, *turns: Turn) -> tuple[KafkaSource, ScriptedConsumer]:
    """A source that has read so many records of partition 0 that it is paused, and the consumer behind it."""
    monkeypatch.setattr(readahead, "LEAST_BYTES", 0)
    monkeypatch.setattr(readahead, "FIRST_RECORDS_PER_S", 0)
    backlog = [Turn(message=ScriptedMessage((0, offset))) for offset in range(50)]
    source, consumer = subscribed(*backlog, Turn(), *turns)
    assert [(0, offset) for offset in range(10)] == places(source)
    assert {0} == consumer.paused
    return source, consumer


def test_a_partition_with_a_backlog_is_paused_and_its_neighbours_records_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, consumer = with_backlog(monkeypatch, Turn(message=ScriptedMessage((1, 7))))
    assert (1, 7) in places(source)
    assert {0} == consumer.paused
    for first in (19, 29):
        assert [(0, offset) for offset in range(first, first + 10)] == places(source)
    assert [] != places(source)
    assert set() == consumer.paused


@pytest.mark.parametrize("gone", [Turn(revoked=[0]), Turn(lost=[0])])
def test_a_partition_that_goes_is_not_paused_when_it_comes_back(monkeypatch: pytest.MonkeyPatch, gone: Turn) -> None:
    """The client keeps a pause across assignments, and would never read the partition again."""
    source, consumer = with_backlog(monkeypatch, gone, Turn(assigned=[0], message=ScriptedMessage((0, 99))))
    assert [] == places(source)
    assert set() == consumer.paused
    assert [(0, 99)] == places(source)


def test_a_paused_partition_is_resumed_to_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source, consumer = with_backlog(monkeypatch)
    source.rewind({(TOPIC, 0): 3})
    assert {0: 3} == consumer.seeks
    assert set() == consumer.paused
    assert [] == places(source)


def test_the_client_is_polled_although_enough_records_are_there() -> None:
    """A member that does not poll is removed from its group."""
    backlog = [Turn(message=ScriptedMessage((partition, offset))) for offset in range(BURST) for partition in (0, 1)]
    source, consumer = subscribed(*backlog)
    left = len(consumer.turns)
    for _ in range(3):
        assert 10 == len(places(source))
        assert len(consumer.turns) < left
        left = len(consumer.turns)
