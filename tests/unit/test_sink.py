"""Both sinks beside a client that misbehaves."""

import threading
import time
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from worker import deadline
from worker.delivery import DeliveryFailures
from worker.errors import BrokerUnavailable, ClientStuck, StepAborted
from worker.record import Outgoing
from worker.sink import AtLeastOnceSink, TransactionalSink


class HungProducer:
    """A client that does not come back from adding offsets, as librdkafka's does while the group's broker is down."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def begin_transaction(self) -> None:
        pass

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


class RefusingProducer:
    """A client whose broker does not take what it is given: only its delivery callback says so."""

    def __init__(self, failures: DeliveryFailures) -> None:
        self._failures = failures

    def produce(self, topic: str, **_: Any) -> None:
        self._failures.first = (topic, KafkaError(KafkaError._TIMED_OUT))

    def flush(self, _: float) -> int:
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
    """The worker ends and says what it was at; nothing waits for ever."""
    monkeypatch.setattr(deadline, "SLICE_S", 0.05)
    monkeypatch.setattr(deadline, "OVERDUE_S", 0.05)
    producer = HungProducer()
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=0.2)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"adding offsets.*are the brokers up\?"):
        transactions.write([], {("texts", 0): 1}, Member())
    assert 0.2 < time.monotonic() - began < 5
    producer.released.set()


def test_a_client_that_never_returns_though_brokers_answer_is_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken connection can do to it, no waiting mends; the next worker need not wait for the deadline."""
    for name in ("SLICE_S", "OVERDUE_S", "NUDGE_S"):
        monkeypatch.setattr(deadline, name, 0.05)
    monkeypatch.setattr(HungProducer, "list_topics", lambda *_, **__: None)
    producer = HungProducer()
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=60.0)
    began = time.monotonic()
    with pytest.raises(ClientStuck, match="adding offsets"):
        transactions.write([], {("texts", 0): 1}, Member())
    assert time.monotonic() - began < 10
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
    with pytest.raises(StepAborted):
        at_least_once.write([Outgoing("emotions", None, b"{}", [], 5)], {("texts", 0): 1}, Member())
