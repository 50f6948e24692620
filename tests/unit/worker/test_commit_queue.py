"""When completed batches are due, which share a transaction, and what becomes of them in a rebalance or an abort."""

import math
from concurrent.futures import Future
from typing import Any

import pytest

from emotag_worker import pipeline as pipeline_
from emotag_worker.batch import Batch, BatchOutput, CompletedBatch, StageTimes
from emotag_worker.commit_queue import CommitQueue
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.observability.traces import NoTraces
from emotag_worker.pipeline import Pipeline
from emotag_worker.wire.record import Answer, Outgoing, Record
from tests.unit.worker.kafka.scripted import TOPIC, NoGroup, ScriptedConsumer, Turn
from tests.unit.worker.scripted import ScriptedSink, advance, build, message
from tests.unit.worker.test_pipeline import Slow

MOST = 100


def completed(*offsets: int) -> CompletedBatch:
    """A batch with a dead letter for each record."""
    records = [Record("texts", 0, offset, None, b"12345") for offset in offsets]
    batch = Batch(
        records,
        [],
        [],
        {},
        new=0,
        windows=0,
        tokens=0,
        computing=Future(),
        polled=0.0,
        polled_at=0.0,
        times=StageTimes(0.0),
        member=NoGroup(),
        trace=NoTraces(),
    )
    letters = [Answer(record, Outgoing("dead", None, b"%d" % record.offset), reason="NotJson") for record in records]
    output = BatchOutput(letters)
    return CompletedBatch(batch, output, device_s=0.0, computed_tokens=0)


def queue(*batches: CompletedBatch, interval_s: float = 0.1, max_bytes: int = 1000) -> CommitQueue:
    made = CommitQueue(interval_s=interval_s, max_bytes=max_bytes)
    for each in batches:
        made.add(each)
    return made


def test_nothing_is_due_without_a_batch() -> None:
    assert math.inf == queue().due_in_s(5.0, max_records=MOST)


def test_the_first_batch_and_the_first_after_a_pause_are_due_at_once() -> None:
    commits = queue(completed(1))
    assert 0.0 == commits.due_in_s(5.0, max_records=MOST)
    commits.begin(5.0)
    commits.clear()
    commits.add(completed(2))
    assert 0.0 == commits.due_in_s(5.1, max_records=MOST)


def test_a_batch_that_completes_soon_after_a_commit_waits_for_the_rest_of_the_interval() -> None:
    commits = queue(completed(1), interval_s=0.25)
    commits.begin(5.0)
    commits.clear()
    assert math.inf == commits.due_in_s(5.125, max_records=MOST)
    commits.add(completed(2))
    assert 0.125 == commits.due_in_s(5.125, max_records=MOST)


def test_without_an_interval_every_batch_is_due_at_once() -> None:
    commits = queue(completed(1), interval_s=0.0)
    commits.begin(5.0)
    assert 0.0 == commits.due_in_s(5.0, max_records=MOST)


def test_batches_as_large_as_a_batch_may_be_are_due_at_once() -> None:
    """By records, or by bytes."""
    commits = queue(completed(1, 2), completed(3), max_bytes=16)
    commits.begin(5.0)
    assert 0.0 < commits.due_in_s(5.0, max_records=4)
    assert 0.0 == commits.due_in_s(5.0, max_records=3)
    commits.add(completed(4))
    assert 0.0 == commits.due_in_s(5.0, max_records=MOST)
    commits.clear()
    commits.add(completed(5))
    assert 0.0 < commits.due_in_s(5.0, max_records=MOST)


def test_a_commit_has_the_records_of_all_batches_in_order() -> None:
    first, second = completed(1, 2), completed(3)
    commits = queue(first, second)
    assert [1, 2, 3] == [record.offset for record in commits.records]
    assert [b"1", b"2", b"3"] == [answer.outgoing.value for answer in commits.answers if answer.outgoing]
    assert second.batch.member is commits.member


def test_the_wait_for_a_commit_is_a_stage_of_each_batch() -> None:
    first, second = completed(1), completed(2)
    first.batch.times.mark("encode", 1.0)
    second.batch.times.mark("encode", 3.0)
    queue(first, second).begin(4.0)
    assert (3.0, 1.0) == (first.batch.times.seconds["hold"], second.batch.times.seconds["hold"])


FOREVER_S = 3600.0
"""An interval that no test waits for."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an abort the pipeline waits for the broker to recover. These tests have no broker."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def trickle(sink: ScriptedSink, *offsets: int, **given: Any) -> tuple[Pipeline, ScriptedConsumer]:
    """A pipeline that has read and completed these records one by one; the first was committed at once."""
    turns = [turn for offset in offsets for turn in (message(0, offset), Turn(), Turn())]
    pipeline, consumer = build(sink, *turns, interval_s=FOREVER_S, **given)
    advance(pipeline, 2 * len(turns))
    return pipeline, consumer


def test_the_first_record_is_committed_at_once_and_those_that_follow_it_share_a_transaction() -> None:
    """A limit on the rate, not a delay."""
    sink, telemetry = ScriptedSink(), Telemetry()
    pipeline, _ = trickle(sink, 1, 2, 3, telemetry=telemetry)
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]
    pipeline.finish()
    assert [(["emotions"], {(TOPIC, 0): 2}), (["emotions"] * 2, {(TOPIC, 0): 4})] == sink.written
    assert 2.0 == telemetry.metrics.registry.get_sample_value("emotag_commits_total")
    assert 3.0 == telemetry.metrics.registry.get_sample_value("emotag_records_total")


def test_completed_batches_are_committed_before_their_partitions_are_revoked() -> None:
    sink = ScriptedSink()
    pipeline, consumer = trickle(sink, 1, 2)
    consumer.turns = [Turn(revoked=[0])]
    advance(pipeline, 1)
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 3}] == [offsets for _, offsets in sink.written]


def test_completed_batches_are_not_written_once_their_partitions_are_lost() -> None:
    sink = ScriptedSink()
    pipeline, consumer = trickle(sink, 1, 2, 3)
    consumer.turns = [Turn(lost=[1])]
    advance(pipeline, 1)
    assert {0: 2} == consumer.seeks
    pipeline.finish()
    assert 1 == len(sink.written)


def test_completed_batches_of_an_aborted_transaction_are_read_again() -> None:
    sink = ScriptedSink()
    pipeline, consumer = trickle(sink, 1, 2, 3)
    sink.aborts = 1
    consumer.turns = [message(0, 4), Turn(revoked=[1])]
    advance(pipeline, 2)
    assert {0: 2} == consumer.seeks
    assert 1 == len(sink.written)


def test_completed_batches_are_dropped_when_the_pipeline_is_closed() -> None:
    """After a failure their records are read again by the next worker."""
    sink = ScriptedSink()
    pipeline, _ = trickle(sink, 1, 2)
    pipeline.close()
    pipeline.finish()
    assert 1 == len(sink.written)


def test_a_transaction_has_the_membership_at_its_newest_poll() -> None:
    sink = ScriptedSink()
    pipeline, consumer = trickle(sink, 1, 2)
    consumer.generation = 2
    consumer.turns = [message(0, 3), Turn()]
    advance(pipeline, 2)
    consumer.member_id = "another"  # its callbacks have not been called yet
    pipeline.finish()
    assert ["member, generation 1", "member, generation 2"] == sink.members


def test_completed_batches_do_not_wait_for_a_device_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their commit is due after the interval, whatever the device computes."""
    monkeypatch.setattr(pipeline_, "STAY_S", 0.01)
    sink, tagger = ScriptedSink(), Slow()
    tagger.released.set()
    pipeline, consumer = build(
        sink, message(0, 1), Turn(), Turn(), message(0, 2), Turn(), Turn(), tagger=tagger, interval_s=0.5
    )
    advance(pipeline, 6)
    tagger.released.clear()
    consumer.turns = [message(0, 3)]
    advance(pipeline, 1)
    consumer.turns = [Turn(), Turn(released=tagger.released)]
    pipeline.finish()
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 3}, {(TOPIC, 0): 4}] == [offsets for _, offsets in sink.written]


def test_a_poll_ends_when_a_commit_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []
    pipeline, consumer = trickle(ScriptedSink(), 1)

    def poll(timeout_s: float) -> None:
        timeouts.append(timeout_s)

    monkeypatch.setattr(consumer, "poll", poll)
    monkeypatch.setattr(CommitQueue, "due_in_s", lambda *_, **__: 0.02)
    advance(pipeline, 1)
    assert [pytest.approx(0.021)] == timeouts
