"""Both sinks with clients that hang, fail or refuse."""

import threading
import time
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from emotag_worker.errors import BatchAborted, BrokerUnavailable, ClientStuck, DeliveryRefused, Fenced, RecordsRefused
from emotag_worker.kafka.output import deadline
from emotag_worker.kafka.output.sink import (
    MAX_ABORTS,
    AtLeastOnceSink,
    DeliveryFailures,
    TransactionalSink,
    compute_pause_s,
)
from emotag_worker.wire.record import Outgoing
from tests.unit.worker.kafka.scripted import Connected, ScriptedMessage


class HungProducer(Connected):
    """A client that does not come back from adding offsets, as librdkafka's does while the group's broker is down."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def begin_transaction(self) -> None:
        pass

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 0

    def send_offsets_to_transaction(self, *_: Any) -> None:
        self.released.wait()

    def list_topics(self, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class FutileProducer:
    """A client whose every abort times out, as librdkafka's can after its connection to the coordinator broke."""

    def begin_transaction(self) -> None:
        pass

    def send_offsets_to_transaction(self, *_: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._INCONSISTENT, "records failed", False, False, True))

    def abort_transaction(self, timeout_s: float) -> None:
        time.sleep(timeout_s)  # as it does
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def list_topics(self, *_: Any, **__: Any) -> None:
        pass


class RefusingProducer(Connected):
    """A client whose broker refuses every record, which only the delivery callback reports."""

    def __init__(self, failures: DeliveryFailures) -> None:
        self._failures = failures

    def produce(self, topic: str, **_: Any) -> None:
        self._failures.note(0, topic, 0, KafkaError(KafkaError._TIMED_OUT))

    def flush(self, _: float) -> int:
        return 0

    def poll(self, _: float) -> int:
        return 0

    def list_topics(self, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class Member:
    """A member of a group that is to commit nothing outside of a transaction."""

    def group_metadata(self) -> None:
        return None

    def commit(self, offsets: object) -> None:
        raise AssertionError("these offsets are not to be committed")


def test_a_client_that_never_returns_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends with an error that names the step."""
    monkeypatch.setattr(deadline, "SLICE_S", 0.05)
    monkeypatch.setattr(deadline, "OVERDUE_S", 0.05)
    producer = HungProducer()
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=0.2)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"cannot reach Kafka at localhost:9092.*gave up adding offsets"):
        transactions.write([], {("texts", 0): 1}, Member())
    assert 0.2 < time.monotonic() - began < 5
    producer.released.set()


def test_a_call_that_times_out_again_and_again_though_brokers_answer_is_given_up_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the client waits for, it is not the brokers; the next worker's first call aborts the transaction."""
    monkeypatch.setattr(deadline, "SLICE_S", 0.05)
    monkeypatch.setattr(deadline, "NUDGE_S", 0.01)
    transactions = TransactionalSink(cast("Producer", FutileProducer()), DeliveryFailures(), deadline_s=60.0)
    began = time.monotonic()
    with pytest.raises(ClientStuck, match="aborting"):
        transactions.write([], {("texts", 0): 1}, Member())
    assert time.monotonic() - began < 10


def test_a_commit_that_hangs_while_no_broker_answers_is_waited_for_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without transactions too: it is the brokers that are gone, and not the client that is stuck."""
    for name in ("SLICE_S", "OVERDUE_S", "NUDGE_S"):
        monkeypatch.setattr(deadline, name, 0.02)
    released = threading.Event()
    monkeypatch.setattr(Member, "commit", lambda *_: released.wait())
    failures = DeliveryFailures()
    at_least_once = AtLeastOnceSink(cast("Producer", RefusingProducer(failures)), failures, deadline_s=1.0)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="committing offsets"):
        at_least_once.write([], {("texts", 0): 1}, Member())
    assert time.monotonic() - began > 1.0
    released.set()


def test_a_record_that_was_not_delivered_commits_no_offsets() -> None:
    """The flush itself succeeds: only the callback knows."""
    failures = DeliveryFailures()
    at_least_once = AtLeastOnceSink(cast("Producer", RefusingProducer(failures)), failures, deadline_s=1.0)
    with pytest.raises(BatchAborted):
        at_least_once.write([Outgoing("emotions", None, b"{}", [], 5)], {("texts", 0): 1}, Member())


class ListeningProducer:
    """A client that records its calls; its commit may fail."""

    def __init__(self, failure: KafkaError | None = None) -> None:
        self._failure = failure
        self.calls: list[str] = []

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def produce(self, topic: str, **_: Any) -> None:
        self.calls.append(f"produce to {topic}")

    def send_offsets_to_transaction(self, positions: list[TopicPartition], *_: Any) -> None:
        self.calls += [f"offset {at.offset} of {at.topic}-{at.partition}" for at in positions]

    def flush(self, _: float) -> int:
        self.calls.append("flush")
        return 0

    def commit_transaction(self, _: float) -> None:
        self.calls.append("commit")
        if self._failure:
            raise KafkaException(self._failure)

    def abort_transaction(self, _: float) -> None:
        self.calls.append("abort")


STEPS = ["begin", "produce to emotions", "offset 6 of texts-0", "flush", "commit"]


def test_a_transaction_holds_the_records_and_their_offsets() -> None:
    producer = ListeningProducer()
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=1.0)
    transactions.write([Outgoing("emotions", None, b"{}")], {("texts", 0): 6}, Member())
    assert STEPS == producer.calls


def test_a_transaction_that_must_be_aborted_is_aborted() -> None:
    failure = KafkaError(KafkaError._INCONSISTENT, "records failed", False, False, True)
    producer = ListeningProducer(failure)
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=1.0)
    with pytest.raises(BatchAborted, match="records failed"):
        transactions.write([Outgoing("emotions", None, b"{}")], {("texts", 0): 6}, Member())
    assert [*STEPS, "abort", "flush"] == producer.calls


def test_a_client_that_another_one_has_fenced_ends_the_worker_with_the_cause() -> None:
    """The client raises it in whichever call runs its callbacks: here while the sink waits for the records."""

    class FencedProducer(ListeningProducer):
        def flush(self, timeout_s: float) -> int:
            fenced = "transactional producer fenced by newer producer instance"
            raise KafkaException(KafkaError(KafkaError._FENCED, fenced, True))

    sink = TransactionalSink(cast("Producer", FencedProducer()), DeliveryFailures(), deadline_s=1.0)
    with pytest.raises(Fenced):
        sink.write([Outgoing("emotions", None, b"{}")], {("texts", 0): 6}, Member())


REPORTED = [(3, KafkaError.MSG_SIZE_TOO_LARGE), (0, KafkaError._INVALID_DIFFERENT_RECORD)]


class ReportingProducer(ListeningProducer):
    """A client that reports failures of some records at the first flush after them."""

    def __init__(self, *failures: tuple[int, int]) -> None:
        super().__init__()
        self._failures = dict(failures)
        self._due: list[Any] = []

    def produce(self, topic: str, **given: Any) -> None:
        index = sum(call.startswith("produce") for call in self.calls)
        super().produce(topic)
        if index in self._failures:
            self._due.append(lambda: given["on_delivery"](KafkaError(self._failures[index]), ScriptedMessage((7, 1))))

    def flush(self, timeout_s: float) -> int:
        self.calls.append("flush")
        while self._due:
            self._due.pop()()
        return 0

    def poll(self, _: float) -> int:
        return 0


FOUR = [Outgoing("emotions", None, b"%d" % number) for number in range(4)]


def write_to(kind: type[TransactionalSink | AtLeastOnceSink], producer: Any, **given: Any) -> None:
    kind(cast("Producer", producer), DeliveryFailures(), deadline_s=1.0).write(
        FOUR, {("texts", 0): 6}, Member(), **given
    )


@pytest.mark.parametrize(("kind", "unwritten"), [(TransactionalSink, [0, 1, 2, 3]), (AtLeastOnceSink, [0, 3])])
def test_a_refused_record_is_named_with_all_that_must_be_written_again(kind: Any, unwritten: list[int]) -> None:
    """An aborted transaction contains nothing; without one, the other records are written."""
    producer = ReportingProducer(*REPORTED)
    with pytest.raises(RecordsRefused) as raised:
        write_to(kind, producer)
    ((index, refusal),) = raised.value.refused.items()
    assert (3, "size", 7, unwritten) == (index, refusal.cause, refusal.partition, raised.value.unwritten)
    assert "commit" not in producer.calls


@pytest.mark.parametrize(("kind", "unwritten"), [(TransactionalSink, [0, 1, 2, 3]), (AtLeastOnceSink, [1, 2, 3])])
def test_a_flush_between_records_ends_the_batch_at_the_first_refusal(kind: Any, unwritten: list[int]) -> None:
    """Records behind it are not sent: the next attempt writes them."""
    producer = ReportingProducer((1, KafkaError.INVALID_TIMESTAMP), (3, KafkaError.INVALID_TIMESTAMP))
    with pytest.raises(RecordsRefused) as raised:
        write_to(kind, producer, flush_after={0, 1})
    assert ([1], unwritten) == (list(raised.value.refused), raised.value.unwritten)
    assert 2 == sum(call.startswith("produce") for call in producer.calls)


class PurgingProducer(ReportingProducer):
    """A client that reports, at the flush after an abort, a record that the abort has removed from its queue."""

    def abort_transaction(self, timeout_s: float) -> None:
        super().abort_transaction(timeout_s)
        self._failures = {}
        self._due.append(lambda: self._last(KafkaError(KafkaError._PURGE_QUEUE), ScriptedMessage()))

    def produce(self, topic: str, **given: Any) -> None:
        self._last = given["on_delivery"]
        super().produce(topic, **given)


def test_reports_of_an_aborted_batch_are_not_taken_for_those_of_the_next() -> None:
    producer = PurgingProducer((1, KafkaError.INVALID_TIMESTAMP))
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=1.0)
    with pytest.raises(RecordsRefused):
        transactions.write(FOUR, {("texts", 0): 6}, Member())
    transactions.write(FOUR, {("texts", 0): 6}, Member())
    assert "commit" == producer.calls[-1]


def test_an_aborted_batch_leaves_nothing_to_the_next_one() -> None:
    failures = DeliveryFailures()
    transactions = TransactionalSink(cast("Producer", ListeningProducer()), failures, deadline_s=1.0)
    failures.begin(1)
    failures.note(0, "emotions", 0, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    transactions.write(FOUR, {("texts", 0): 6}, Member())


@pytest.mark.parametrize("kind", [TransactionalSink, AtLeastOnceSink])
def test_a_record_that_the_client_itself_refuses_is_a_refused_record(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ListeningProducer, topic: str, *, value: bytes, **_: Any) -> None:
        if value == b"2":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))

    monkeypatch.setattr(ReportingProducer, "produce", refuse)
    with pytest.raises(RecordsRefused) as raised:
        write_to(kind, ReportingProducer())
    assert [2] == list(raised.value.refused)


@pytest.mark.parametrize("kind", [TransactionalSink, AtLeastOnceSink])
def test_a_topic_that_refuses_every_record_stops_the_worker(kind: Any) -> None:
    with pytest.raises(DeliveryRefused, match="every record for texts"):
        write_to(kind, ReportingProducer((1, KafkaError.TOPIC_AUTHORIZATION_FAILED), (2, KafkaError.INVALID_RECORD)))


def test_pauses_grow_up_to_five_seconds() -> None:
    assert [0.2, 0.4, 5.0] == [compute_pause_s(1), compute_pause_s(2), compute_pause_s(MAX_ABORTS)]


@pytest.mark.parametrize("flush_after", [(), (3,)])
def test_records_on_their_way_count_neither_as_written_nor_as_refused(flush_after: tuple[int, ...]) -> None:
    """One record is refused, and the flush times out with others outstanding: their reports would come later."""

    class SlowProducer(ReportingProducer, Connected):
        def flush(self, timeout_s: float) -> int:
            super().flush(timeout_s)
            return 2

    producer = SlowProducer((1, KafkaError.MSG_SIZE_TOO_LARGE))
    with pytest.raises(BrokerUnavailable, match="2 missing"):
        write_to(AtLeastOnceSink, producer, flush_after=flush_after)
