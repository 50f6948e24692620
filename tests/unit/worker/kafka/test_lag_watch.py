"""The lag of a topic, from consumers that play a script."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Event

import pytest
from confluent_kafka import KafkaError

from emotag_worker.kafka import lag_watch
from emotag_worker.kafka.lag_watch import LagWatch, StableOffsets, TopicLag
from emotag_worker.kafka.offsets import PartitionOffsets
from emotag_worker.wire.record import Partition

from .answers import NEVER, TOPIC, Answers, reader_of

DECIDED = Answers(end={0: 10, 1: 10, 2: 10, 3: 10})
EVERY = Answers(
    end={0: 10, 1: 15, 2: 10, 3: 10}, beginning={0: 0, 1: 0, 2: 3, 3: 5}, commits={0: 1, 1: 4, 2: NEVER, 3: 2}
)


def measure(monkeypatch: pytest.MonkeyPatch, every: Answers, positions: Mapping[Partition, int | None]) -> TopicLag:
    monkeypatch.setattr(lag_watch, "EVERY_S", 0.01)
    monkeypatch.setattr(lag_watch, "PAUSE_RATIO", 0.0)
    reported: list[TopicLag] = []
    heard = Event()

    def report(lag: TopicLag) -> None:
        reported.append(lag)
        heard.set()

    watch = LagWatch(reader_of(DECIDED, every), TOPIC, lambda: positions, report)
    assert heard.wait(5)
    watch.close()
    return reported[0]


def test_the_watch_counts_from_this_workers_commit_else_from_the_groups_else_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Partition 3, whose first commit retention overtook, belongs to nobody, and counts in the sum alone."""
    found = measure(monkeypatch, EVERY, {(TOPIC, 0): 9, (TOPIC, 1): None, (TOPIC, 2): None})
    assert {(TOPIC, 0): 1, (TOPIC, 1): 6, (TOPIC, 2): 7} == found.assigned
    assert (4, 1 + 6 + 7 + 5) == (found.partitions, found.records)


def test_records_that_nobody_may_read_yet_are_undecided_and_no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, EVERY, {(TOPIC, 1): 10})
    assert ({(TOPIC, 1): 0}, 5, 0.0) == (found.assigned, found.undecided, found.undecided_s)


def test_a_measurement_that_fails_is_repeated_and_events_of_the_clients_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = replace(EVERY, failures=[KafkaError(KafkaError._TRANSPORT)])
    assert 4 == measure(monkeypatch, every, {}).partitions
    assert every.polls >= 1


def test_a_partition_without_a_leader_is_counted_and_has_no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, replace(EVERY, commits={**EVERY.commits, 0: None}), {(TOPIC, 0): 9, (TOPIC, 1): 9})
    assert (4, {(TOPIC, 1): 1}) == (found.partitions, found.assigned)


def test_the_time_of_undecided_records_counts_while_the_stable_offset_does_not_move() -> None:
    """A producer with one transaction after another always has undecided records, and no open one is old."""
    stable, at = StableOffsets(), (TOPIC, 0)

    def longest_s(stable_offset: int, end: int, now: float) -> float:
        return stable.measure_longest_s({at: PartitionOffsets(0, 0, stable_offset, end - stable_offset)}, now)

    assert 0.0 == longest_s(10, 15, now=100.0)
    assert 5.0 == longest_s(10, 25, now=105.0)
    assert 0.0 == longest_s(20, 25, now=110.0)
    assert 0.0 == longest_s(25, 25, now=115.0)
    assert 0.0 == longest_s(25, 30, now=120.0)
    assert 1.0 == longest_s(25, 30, now=121.0)
