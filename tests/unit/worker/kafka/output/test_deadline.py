"""Calls that fail, hang and succeed, against a deadline."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from emotag_worker.errors import BatchAborted, BrokerUnavailable, ClientStuck, Denied, StopWorker
from emotag_worker.kafka.output import deadline
from emotag_worker.kafka.output.deadline import Deadline
from tests.unit.worker.kafka.scripted import Connected


class Brokers(Connected):
    """A producer whose brokers answer requests for metadata, or do not."""

    def __init__(self, *, answer: bool) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def poll(self, _: float) -> int:
        return 0

    def list_topics(self, topic: str, timeout: float) -> None:
        self.asked.append(topic)
        if not self._answer:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def deadline_of(brokers: Brokers, deadline_s: float) -> Deadline:
    return Deadline(cast("Producer", brokers), deadline_s)


def fail(code: int, *, times: int) -> Callable[[float], None]:
    """Return a call that fails a number of times, then succeeds."""
    left = times

    def call(_: float) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise KafkaException(KafkaError(code))

    return call


def always(_: KafkaError) -> bool:
    return True


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLICE_S", "OVERDUE_S", "NUDGE_S"):
        monkeypatch.setattr(deadline, name, 0.02)


def test_a_call_that_fails_is_repeated_until_it_succeeds() -> None:
    deadline_of(Brokers(answer=True), 10).retry("testing", fail(KafkaError._TIMED_OUT, times=2), may_retry=always)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (KafkaError._TIMED_OUT, "cannot reach .*: no answer"),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, "is not ready: Broker: Coordinator not available"),
    ],
)
def test_a_call_that_fails_past_the_deadline_is_given_up_with_its_error(code: int, cause: str) -> None:
    with pytest.raises(BrokerUnavailable, match=cause + r" \(gave up testing after 0\.2 s\)"):
        deadline_of(Brokers(answer=True), 0.2).retry("testing", fail(code, times=1000), may_retry=always)


def test_a_call_learns_how_long_it_may_take() -> None:
    """One slice at most, and never nothing: a client reads 0 as no wait at all."""
    given: list[float] = []
    deadline_of(Brokers(answer=True), 10).retry("testing", given.append, may_retry=always)
    deadline_of(Brokers(answer=True), 0).retry("testing", given.append, may_retry=always)
    assert [0.02, 0.02] == given


def test_an_error_that_must_not_be_retried_stops_the_worker() -> None:
    with pytest.raises(StopWorker, match="testing failed"):
        deadline_of(Brokers(answer=True), 10).retry(
            "testing", fail(KafkaError._TIMED_OUT, times=1), may_retry=lambda _: False
        )


def test_an_error_of_may_retry_is_raised() -> None:
    def abort(error: KafkaError) -> bool:
        raise BatchAborted(error.str())

    with pytest.raises(BatchAborted):
        deadline_of(Brokers(answer=True), 10).retry("testing", fail(KafkaError._TIMED_OUT, times=1), may_retry=abort)


def test_a_refusal_is_raised_at_once() -> None:
    with pytest.raises(Denied):
        deadline_of(Brokers(answer=True), 10).retry(
            "testing", fail(KafkaError.TOPIC_AUTHORIZATION_FAILED, times=1), may_retry=always
        )


@pytest.mark.parametrize(("answer", "expected"), [(True, ClientStuck), (False, BrokerUnavailable)])
def test_a_hung_call_is_the_clients_fault_only_if_brokers_answer(
    answer: bool, expected: type[StopWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "HUNG", 3)
    released = threading.Event()
    brokers = Brokers(answer=answer)
    hung = deadline_of(brokers, 60.0 if answer else 0.2)
    hung.topic = "emotions"

    def call(_: float) -> Any:
        released.wait()

    with pytest.raises(expected, match="testing"):
        hung.retry("testing", call, may_retry=always)
    released.set()
    assert {"emotions"} == set(brokers.asked)


def test_the_time_starts_again() -> None:
    again = deadline_of(Brokers(answer=True), 0.0)
    assert 0.0 == again.left_s
    again._deadline_s = 5.0
    again.restart()
    assert 4 < again.left_s <= 5
