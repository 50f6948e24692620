"""Answers and brokers that refuse some of them."""

import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from emotag_schemas.dead_letter import DeadLetterHeaders, StubHeaders
from emotag_worker.delivery import Delivery
from emotag_worker.dlq.refusal_limit import RefusalLimit
from emotag_worker.errors import BatchAborted, DeliveryRefused, RecordsRefused, TooManyDeadLetters
from emotag_worker.kafka.output import rewriting
from emotag_worker.kafka.output.rewriting import RETRIES
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Answer, Outgoing, Partition, Record, Refusal
from tests.unit.worker.kafka.scripted import NoGroup

ENCODER = RecordEncoder({}, "emotions", "dead", "group", "0")
OFFSETS = {("texts", 0): 9}
NOW_MS = round(time.time() * 1000)
LATE_MS = NOW_MS + 10_000_000
Cause = Callable[[Outgoing], Any]


class StrictBrokers:
    """Brokers that refuse produce batches with a bad record, and a client that reports all records of the batch.

    With two or more bad records in a batch, these are named and the cause is lost, as with Kafka and librdkafka.

    Args:
        judge: the cause of the refusal of a record, or None.
        transactional: a refusal undoes the batch; otherwise the records before and behind it are written.
        aborts: the number of batches that are aborted after each refusal.
        fits: returns True if records may share a produce batch.
    """

    def __init__(
        self,
        judge: Cause,
        *,
        transactional: bool = True,
        aborts: int = 0,
        fits: Callable[[Sequence[Outgoing]], bool] = lambda batch: True,
    ) -> None:
        self._fits = fits
        self._aborts = aborts
        self._due_aborts = 0
        self._judge = judge
        self.transactional = transactional
        self.flushes = 0
        self.written: list[Outgoing] = []
        self.attempts = 0
        self.compacted = "emotions"

    def open(self) -> None:
        pass

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: object,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        self.attempts += 1
        if self._due_aborts:
            self._due_aborts -= 1
            raise BatchAborted("skipped sequence numbers")
        refused: dict[int, Refusal] = {}
        done: list[int] = []
        failed: set[int] = set()
        for run in _divide(len(records), flush_after):
            self.flushes += 1
            for topic in ("emotions", "dead"):
                batch = [index for index in run if records[index].topic == topic]
                bad = {index: cause for index in batch if (cause := self._judge(records[index]))}
                if not self._fits([records[index] for index in batch]):
                    bad = dict.fromkeys(batch, "size")
                    refused |= {index: Refusal(topic, 0, "size", "refused") for index in batch}
                elif len(bad) > 1:
                    refused |= {index: Refusal(topic, 0, "record", "refused") for index in bad}
                elif bad:
                    (cause,) = bad.values()
                    refused |= {index: Refusal(topic, 0, cause, "refused") for index in batch}
                failed |= set(batch) if bad else set()
                done += [] if bad else batch
            if refused:
                break
        unwritten = sorted(set(range(len(records))) - (set() if self.transactional else set(done)))
        self.written += [records[index] for index in range(len(records)) if index not in unwritten or not refused]
        if refused:
            self._due_aborts = self._aborts
            raise RecordsRefused(refused, unwritten)


def _divide(count: int, flush_after: Collection[int]) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    for index in range(count):
        runs[-1].append(index)
        if index in flush_after:
            runs.append([])
    return runs


def result(offset: int, *, key: bytes | None = b"k", value: bytes = b"{}", at: int | None = NOW_MS) -> Answer:
    record = Record("texts", 0, offset, key, b"text %d" % offset, (("own", b"1"),), at)
    return Answer(record, Outgoing("emotions", key, value, (), at), "computed", truncated=True)


def build(brokers: StrictBrokers, *, telemetry: Telemetry | None = None) -> Delivery:
    limit = RefusalLimit(most=50, can_read=lambda: False)
    return Delivery(
        brokers, ENCODER, limit, telemetry or Telemetry(), requires_key=lambda topic: brokers.compacted == topic
    )


def write(answers: Sequence[Answer], brokers: StrictBrokers, *, telemetry: Telemetry | None = None) -> None:
    build(brokers, telemetry=telemetry).write(answers, OFFSETS, NoGroup())


def refuse_keyless(record: Outgoing) -> str | None:
    return "record" if record.topic == "emotions" and record.key is None else None


def refuse_late(record: Outgoing) -> str | None:
    return "timestamp" if (record.timestamp_ms or 0) >= LATE_MS else None


def reason_of(record: Outgoing) -> str:
    return DeadLetterHeaders.from_headers(record.headers).exception_class


@pytest.mark.parametrize("transactional", [True, False])
def test_only_the_refused_result_becomes_a_dead_letter(*, transactional: bool) -> None:
    answers = [result(offset, key=None if offset == 7 else b"k") for offset in range(20)]
    before = [answer.outgoing for answer in answers]
    brokers, telemetry = StrictBrokers(refuse_keyless, transactional=transactional), Telemetry()
    with capture_logs() as lines:
        write(answers, brokers, telemetry=telemetry)
    assert sorted(map(str, brokers.written)) == sorted(str(answer.outgoing) for answer in answers)
    assert [7] == [offset for offset, answer in enumerate(answers) if answer.outgoing != before[offset]]
    dead = answers[7].outgoing
    assert dead is not None
    assert ("OutputRefused", b"text 7", ("own", b"1")) == (reason_of(dead), dead.value, dead.headers[0])
    assert ("", "OutputRefused", False) == (answers[7].source, answers[7].reason, answers[7].truncated)
    (line,) = lines
    assert ("records_refused", "emotions", "dead_letter", 1) == tuple(
        line[name] for name in ("event", "topic", "replacement", "records")
    )
    labels = {"replacement": "dead_letter"}
    assert 1 == telemetry.metrics.registry.get_sample_value("emotag_refused_records_total", labels)


def test_a_refused_timestamp_is_left_to_the_brokers() -> None:
    answers = [result(offset, at=LATE_MS if offset in (2, 3, 9) else NOW_MS) for offset in range(12)]
    brokers = StrictBrokers(refuse_late)
    write(answers, brokers)
    assert [None if offset in (2, 3, 9) else NOW_MS for offset in range(12)] == [
        record.timestamp_ms for record in brokers.written
    ]
    assert {"emotions"} == {record.topic for record in brokers.written}


def test_the_abort_that_follows_a_refusal_is_repeated() -> None:
    """librdkafka needs one aborted transaction to forget the sequence numbers of refused records."""
    answers = [result(offset, key=None if offset == 7 else b"k") for offset in range(20)]
    brokers = StrictBrokers(refuse_keyless, aborts=1)
    write(answers, brokers)
    assert 20 == len(brokers.written)
    with pytest.raises(BatchAborted, match="skipped"):
        write([result(1, key=None)], StrictBrokers(refuse_keyless, aborts=RETRIES + 1))


def test_a_refused_dead_letter_becomes_a_stub() -> None:
    """A result that is refused for its key; its dead letter is refused for its size."""
    answers = [result(1), result(2, key=None)]
    brokers = StrictBrokers(lambda record: refuse_keyless(record) or ("size" if record.value == b"text 2" else None))
    write(answers, brokers)
    _, stub = brokers.written
    assert (None, b"texts-0-2", "OutputRefused") == (stub.value, stub.key, reason_of(stub))
    found = StubHeaders.from_headers(stub.headers)
    assert found is not None
    assert (6, "refused") == (found.value_bytes, found.refusal)


def test_a_refused_stub_stops_the_worker() -> None:
    brokers = StrictBrokers(lambda record: "size")
    with pytest.raises(DeliveryRefused, match="dead"):
        write([result(1)], brokers)
    assert [] == brokers.written


def test_too_many_refused_results_stop_the_worker_before_they_are_written() -> None:
    brokers = StrictBrokers(refuse_keyless)
    with pytest.raises(TooManyDeadLetters, match="OutputRefused"):
        write([result(offset, key=None) for offset in range(60)], brokers)
    assert [] == brokers.written


def test_a_batch_that_comes_again_after_an_abort_begins_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bad records a batch has, each time more of them are known."""
    clock = SimpleNamespace(monotonic=itertools.count(step=rewriting.PATIENCE_S / 2).__next__, time=time.time)
    monkeypatch.setattr(rewriting, "time", clock)  # two attempts, then time is up
    brokers = StrictBrokers(lambda record: "size" if record.topic == "emotions" and record.value == b"large" else None)
    telemetry = Telemetry()
    delivery = build(brokers, telemetry=telemetry)
    times = 0
    while not brokers.written:
        times += 1
        answers = [result(offset, value=b"large" if offset in (2, 5) else b"{}") for offset in range(8)]
        try:
            delivery.write(answers, OFFSETS, NoGroup())
        except BatchAborted as error:
            assert "too long" in str(error)  # noqa: PT017  (the last time, there is none)
        assert times < 9
    assert [2, 5] == [offset for offset, answer in enumerate(answers) if answer.reason]
    labels = {"replacement": "dead_letter"}
    assert 2 == telemetry.metrics.registry.get_sample_value("emotag_refused_records_total", labels)


def test_hundreds_of_bad_records_of_different_sizes_cost_about_one_attempt_each() -> None:
    """And few flushes, each of which waits for the brokers."""
    count = 300
    answers = [result(offset, value=b"l" * (offset + 10) if offset % 3 else b"{}") for offset in range(count * 3 // 2)]
    brokers = StrictBrokers(
        lambda record: "size" if record.topic == "emotions" and len(record.value or b"") > 9 else None
    )
    write(answers, brokers)
    assert len(answers) == len(brokers.written)
    assert count == sum(answer.reason == "OutputRefused" for answer in answers)
    assert brokers.attempts < 1.2 * count
    assert brokers.flushes < 40 * count


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("reason", [None, "policy", "record"])
def test_a_missing_key_is_no_guess(reason: str | None, *, transactional: bool) -> None:
    """On a topic that is not compacted, the brokers refuse something else than the missing key."""
    bad = {b"7", b"8"}
    brokers = StrictBrokers(
        lambda record: reason if record.topic == "emotions" and record.value in bad else None,
        transactional=transactional,
    )
    brokers.compacted = "another"
    answers = [result(offset, key=None, value=b"%d" % offset) for offset in range(30)]
    write(answers, brokers)
    assert ([7, 8] if reason else []) == [offset for offset, answer in enumerate(answers) if answer.reason]


def test_a_record_without_an_output_only_commits_its_offset() -> None:
    brokers = StrictBrokers(lambda record: None)
    write([Answer(Record("texts", 0, 1, None, None), None)], brokers)
    assert (1, []) == (brokers.attempts, brokers.written)


@given(st.sets(st.integers(0, 299), max_size=4), st.sets(st.integers(0, 299)), st.booleans())
@settings(max_examples=20)
def test_whatever_is_refused_each_record_is_written_once_and_good_ones_unchanged(
    large: set[int], late: set[int], transactional: bool
) -> None:
    """In few attempts: bad timestamps are found together, other bad records one after the other."""
    answers = [
        result(
            offset,
            value=b"large" if offset in large else b"{}",
            at=LATE_MS + offset % 13 if offset in late else NOW_MS,
        )
        for offset in range(300)
    ]

    def judge(record: Outgoing) -> str | None:
        return "size" if record.value == b"large" else refuse_late(record)

    before = [answer.outgoing for answer in answers]
    brokers = StrictBrokers(judge, transactional=transactional)
    write(answers, brokers)
    assert 300 == len(brokers.written)
    assert sorted(map(str, brokers.written)) == sorted(str(answer.outgoing) for answer in answers)
    changed = {offset for offset, answer in enumerate(answers) if answer.outgoing != before[offset]}
    assert large | late == changed
    assert large == {offset for offset, answer in enumerate(answers) if answer.reason}
    assert brokers.attempts <= 25
