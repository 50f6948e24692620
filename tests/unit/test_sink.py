"""The transactional sink beside a client that misbehaves."""

import threading
import time
from typing import Any, cast

import pytest
from confluent_kafka import Producer

from worker import sink
from worker.errors import BrokerUnavailable
from worker.sink import DeliveryFailures, TransactionalSink


class HungProducer:
    """A client that does not come back from adding offsets, as librdkafka's does while the group's broker is down."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def begin_transaction(self) -> None:
        pass

    def send_offsets_to_transaction(self, *_: Any) -> None:
        self.released.wait()


class Member:
    """A member of no group."""

    def group_metadata(self) -> None:
        return None

    def commit(self, offsets: object) -> None:
        raise AssertionError("a transaction carries its offsets itself")


def test_a_client_that_never_returns_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends and says what it was at; nothing waits for ever."""
    monkeypatch.setattr(sink, "SLICE_S", 0.05)
    monkeypatch.setattr(sink, "OVERDUE_S", 0.05)
    producer = HungProducer()
    transactions = TransactionalSink(cast("Producer", producer), DeliveryFailures(), deadline_s=0.2)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"adding offsets.*are the brokers up\?"):
        transactions.write([], {("texts", 0): 1}, Member())
    assert 0.2 < time.monotonic() - began < 5
    producer.released.set()
