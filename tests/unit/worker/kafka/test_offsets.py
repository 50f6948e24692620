"""The offsets that brokers report, read on a real broker by `tests/acceptance/offsets`; here the odd answers."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import BrokerUnavailable, Denied
from emotag_worker.kafka.offsets import Committed, PartitionOffsets, commit_offsets

from .answers import NEVER, TOPIC, Answers, reader_of

P, Q = (TOPIC, 0), (TOPIC, 1)
DECIDED = Answers(end={0: 20, 1: 20})
EVERY = Answers(end={0: 20, 1: 25}, beginning={0: 0, 1: 3}, commits={0: NEVER, 1: 7})
READER = reader_of(DECIDED, EVERY)


def test_a_group_that_has_committed_nothing_has_no_offset() -> None:
    assert {P: Committed(None), Q: Committed(7)} == READER.fetch_committed([P, Q])


def test_the_end_is_before_records_that_nobody_may_read_yet() -> None:
    assert {P: 20, Q: 20} == READER.fetch_ends([P, Q])
    assert {P: PartitionOffsets(0, None, 20, 0), Q: PartitionOffsets(3, 7, 20, 5)} == READER.fetch_all([P, Q])


def test_records_that_arrive_between_two_requests_are_not_undecided() -> None:
    ends = iter([20, 21])

    class Busy(Answers):
        def offsets_for_times(self, asked: Sequence[TopicPartition], timeout: float) -> list[Any]:
            if asked[0].offset != OFFSET_END:
                return super().offsets_for_times(asked, timeout)
            end = next(ends)
            return [self._answer(at.partition, end) for at in asked]

    reader = reader_of(Busy(end={0: 0}), Busy(end={0: 0}, beginning={0: 0}, commits={0: 7}))
    assert 0 == reader.fetch_all([P])[P].undecided


def test_a_partition_that_was_added_meanwhile_is_found() -> None:
    """Each client asks for metadata only every few minutes, and would not know the partition until then."""
    reader = reader_of(replace(DECIDED, added={1}), replace(EVERY, added={1}, commits={0: 3, 1: 7}))
    assert {P: 20, Q: 20} == reader.fetch_ends([P, Q])
    assert [P, Q] == list(reader.fetch_all([P, Q]))


def test_an_error_of_one_partition_is_raised_unless_a_part_is_enough() -> None:
    reader = reader_of(DECIDED, replace(EVERY, commits={0: None, 1: 7}))
    for fetch in (reader.fetch_committed, reader.fetch_all):
        with pytest.raises(KafkaException):
            fetch([P, Q])
    assert [Q] == list(reader.fetch_all([P, Q], partly=True))


@pytest.mark.parametrize(("found", "expected"), [(15, 15), (-1, 20), (25, 20)])
def test_a_time_after_all_records_is_the_end(found: int, expected: int) -> None:
    """So is the time of a record of a transaction that is still open: it is read once the transaction ends."""
    assert {P: expected} == reader_of(replace(DECIDED, times={0: found}), EVERY).fetch_at([P], 1)


@pytest.mark.parametrize(
    ("beginning", "committed", "lag"), [(0, 7, 13), (10, 7, 10), (3, None, 17), (0, 20, 0), (0, 25, 0)]
)
def test_the_lag_is_what_exists_and_is_not_committed(beginning: int, committed: int | None, lag: int) -> None:
    assert lag == PartitionOffsets(beginning, committed, 20).lag


@pytest.mark.parametrize(
    ("code", "expected"),
    [(KafkaError._TIMED_OUT, BrokerUnavailable), (KafkaError.GROUP_AUTHORIZATION_FAILED, Denied)],
)
def test_brokers_that_do_not_answer_are_told_from_those_that_refuse(code: int, expected: type[Exception]) -> None:
    reader = reader_of(DECIDED, replace(EVERY, failures=[KafkaError(code)] * 10))
    with pytest.raises(expected):
        reader.repeat("reading", lambda: reader.fetch_committed([P]))


def test_a_coordinator_that_still_loads_the_group_is_asked_again() -> None:
    """For seconds after the start of a broker."""
    reader = reader_of(DECIDED, replace(EVERY, failures=[KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS)]))
    assert {Q: Committed(7)} == reader.repeat("reading", lambda: reader.fetch_committed([Q]))


def test_a_commit_that_refuses_one_of_several_partitions_fails() -> None:
    """The client raises only if the whole request fails."""

    class Half:
        def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> list[SimpleNamespace]:
            assert not asynchronous
            return [SimpleNamespace(error=None), SimpleNamespace(error=KafkaError(KafkaError.UNKNOWN_MEMBER_ID))]

    with pytest.raises(KafkaException, match="UNKNOWN_MEMBER_ID"):
        commit_offsets(cast("Consumer", Half()), [TopicPartition("texts", 0, 1), TopicPartition("texts", 1, 1)])
