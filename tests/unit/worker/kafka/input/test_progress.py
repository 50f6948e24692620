"""The ends of partitions that a worker commits, and those that it must not."""

import pytest
from confluent_kafka import KafkaError

from emotag_worker import pipeline as pipeline_
from emotag_worker.kafka.input.progress import ReadProgress
from tests.unit.worker.kafka.scripted import TOPIC, ScriptedMessage, Turn
from tests.unit.worker.scripted import ScriptedSink, advance, build, message

P, Q = ("texts", 0), ("texts", 1)


@pytest.fixture
def progress() -> ReadProgress:
    """Partition P was read and committed up to offset 5, and ends at 8."""
    progress = ReadProgress()
    progress.note_record(P, 4)
    progress.note_end(P, 8)
    progress.note_committed({P: 5})
    return progress


def test_an_end_behind_the_last_committed_record_is_committed_once(progress: ReadProgress) -> None:
    assert {P: 8} == progress.find_drained()
    progress.note_committed({P: 8})
    assert {} == progress.find_drained()
    assert 8 == progress.find_committed(P)


def test_an_end_waits_until_the_records_before_it_are_committed() -> None:
    progress = ReadProgress()
    progress.note_record(P, 4)
    progress.note_end(P, 8)
    assert {} == progress.find_drained()
    progress.note_committed({P: 4})
    assert {} == progress.find_drained()


def test_a_partition_without_any_record_is_committed_at_its_end() -> None:
    """So that the group has an offset for it, whatever `auto.offset.reset` is later."""
    progress = ReadProgress()
    progress.note_end(P, 0)
    assert {P: 0} == progress.find_drained()


def test_an_end_that_the_group_has_committed_before_is_not_committed_again() -> None:
    """A transaction for nothing, after each assignment of an idle partition."""
    progress = ReadProgress()
    progress.note_begin({P: 8, Q: 5})
    progress.note_end(P, 8)
    progress.note_end(Q, 8)
    assert {Q: 8} == progress.find_drained()


def test_the_begin_of_the_group_does_not_hide_what_this_worker_has_committed_since(progress: ReadProgress) -> None:
    progress.note_begin({P: 3})
    assert 5 == progress.find_committed(P)


def test_a_new_record_takes_the_end_away(progress: ReadProgress) -> None:
    progress.note_record(P, 9)
    assert {} == progress.find_drained()


def test_an_end_is_not_committed_when_records_before_it_are_read_again(progress: ReadProgress) -> None:
    progress.note_record(P, 9)
    progress.note_end(P, 12)
    progress.note_rewound(P, 9)
    assert {} == progress.find_drained()
    progress.note_record(P, 9)
    progress.note_end(P, 12)
    assert {} == progress.find_drained()
    progress.note_committed({P: 10})
    assert {P: 12} == progress.find_drained()


def test_an_end_waits_for_records_before_the_offset_that_the_client_went_back_to(progress: ReadProgress) -> None:
    """Records 5 to 7 are on their way to a commit, 8 and later ones were given back, and retention deleted them."""
    progress.note_record(P, 9)
    progress.note_rewound(P, 8)
    progress.note_resumed({P: 20})
    progress.note_end(P, 20)
    assert {} == progress.find_drained()
    progress.note_committed({P: 8})
    assert {P: 20} == progress.find_drained()


def test_the_next_offset_is_after_the_last_record_or_where_the_client_was_sent(progress: ReadProgress) -> None:
    found = [progress.find_next(P)]
    progress.note_resumed({P: 20})
    found.append(progress.find_next(P))
    progress.note_rewound(P, 3)
    found.append(progress.find_next(P))
    progress.note_resumed({P: 20})
    progress.note_record(P, 21)
    assert [5, 20, 3, 22, None] == [*found, progress.find_next(P), progress.find_next(Q)]


def test_nothing_is_left_of_a_partition_that_went_to_another_worker(progress: ReadProgress) -> None:
    progress.forget({P})
    assert {} == progress.find_drained()
    assert progress.find_committed(P) is None
    assert not ReadProgress().is_proven({P})


def test_a_worker_is_proven_by_a_committed_record_or_by_partitions_without_any() -> None:
    progress = ReadProgress()
    assert progress.is_proven(set())
    assert not progress.is_proven({P, Q})
    progress.note_end(P, 3)
    progress.note_committed({P: 3})
    assert not progress.is_proven({P, Q})
    progress.note_end(Q, 0)
    assert progress.is_proven({P, Q})
    progress.forget({Q})
    assert not progress.is_proven({P, Q})
    progress.note_record(Q, 0)
    progress.note_end(Q, 1)  # not an empty partition: the worker has read a record, which is not committed
    assert not progress.is_proven({P, Q})
    progress.note_committed({Q: 1})
    assert progress.is_proven({P, Q})


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an abort the pipeline waits for the broker to recover. These tests have no broker."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_the_end_of_a_partition_is_committed_alone_if_no_batch_takes_it_along() -> None:
    """Records of an aborted transaction follow the last record of partition 0: nobody can read them."""
    sink = ScriptedSink()
    pipeline, _ = build(sink, message(0, 1), end(0, 302), Turn(), Turn())
    advance(pipeline, 5)
    assert [(["emotions"], {(TOPIC, 0): 2}), ([], {(TOPIC, 0): 302})] == sink.written


def test_the_end_of_a_partition_is_committed_with_the_next_batch_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_, "DRAINED_S", 3600.0)
    sink = ScriptedSink()
    pipeline, _ = build(sink, end(1, 0), Turn(), end(1, 8), message(0, 1), Turn(), Turn())
    advance(pipeline, 6)
    assert [([], {(TOPIC, 1): 0}), (["emotions"], {(TOPIC, 0): 2, (TOPIC, 1): 8})] == sink.written


@pytest.mark.usefixtures("no_pauses")
def test_the_end_of_a_partition_waits_for_the_records_before_it_also_if_their_batch_is_aborted() -> None:
    """A worker that committed 302 before record 1 would lose the record."""
    sink = ScriptedSink(aborts=1)
    pipeline, consumer = build(sink, message(0, 1), end(0, 302), Turn(), Turn(), Turn())
    advance(pipeline, 5)
    assert [] == sink.written
    assert {0: 1} == consumer.seeks
    consumer.turns = [message(0, 1), end(0, 302), Turn(), Turn()]
    advance(pipeline, 4)
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 302}] == [offsets for _, offsets in sink.written]


def end(partition: int, offset: int) -> Turn:
    return Turn(message=ScriptedMessage((partition, offset), failure=KafkaError(KafkaError._PARTITION_EOF)))
