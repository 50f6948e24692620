"""Following topics with a client that plays a script."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from emotag_worker.errors import BrokerUnavailable
from emotag_worker.kafka.connection import Connection
from emotag_worker.settings import KafkaSettings, Settings
from emotag_worker.terminal.tail import follow
from tests.unit.worker.kafka.scripted import Connected, ScriptedMessage


@dataclass
class Followed(Connected):
    """A consumer of topics with two partitions each."""

    messages: list[ScriptedMessage | None] = field(default_factory=list)
    assigned: list[TopicPartition] = field(default_factory=list)

    def list_topics(self, topic: str, *, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=[0, 1])})

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def poll(self, timeout_s: float) -> ScriptedMessage | None:
        return self.messages.pop(0) if self.messages else None


class Gone(Followed):
    """A client whose brokers answer once."""

    requests = 0

    def list_topics(self, topic: str, *, timeout: float) -> Any:
        self.requests += 1
        if self.requests > 1:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return super().list_topics(topic, timeout=timeout)


@pytest.mark.parametrize(("from_beginning", "offset"), [(True, OFFSET_BEGINNING), (False, OFFSET_END)])
def test_every_partition_is_followed_from_its_beginning_or_from_now_on(from_beginning: bool, offset: int) -> None:
    consumer = Followed()
    assert None is next(follow(cast("Consumer", consumer), ["a", "b"], from_beginning=from_beginning))
    found = [(at.topic, at.partition, at.offset) for at in consumer.assigned]
    assert [(topic, number, offset) for topic in ("a", "b") for number in (0, 1)] == found


def test_records_are_yielded_and_errors_are_not() -> None:
    record = ScriptedMessage((0, 1))
    consumer = Followed([record, ScriptedMessage(failure=KafkaError(KafkaError._TRANSPORT)), None, record])
    found = follow(cast("Consumer", consumer), ["a"], from_beginning=True)
    first, second, third = (next(found) for _ in range(3))
    assert first is cast("Message", record) is third
    assert second is None


@pytest.mark.parametrize(("check_s", "idle_s"), [(0.0, None), (10.0, 0.01)], ids=["while it waits", "at its end"])
def test_brokers_that_are_gone_end_it(monkeypatch: pytest.MonkeyPatch, check_s: float, idle_s: float | None) -> None:
    """The client does not report that they are gone."""
    monkeypatch.setattr("emotag_worker.terminal.tail.CHECK_S", check_s)
    consumer = Gone()
    consumer.connection = Connection(Settings(kafka=KafkaSettings(broker_timeout_s=1.0, transaction_timeout_s=1.0)))
    with pytest.raises(BrokerUnavailable):
        list(follow(cast("Consumer", consumer), ["a"], from_beginning=True, idle_s=idle_s))


def test_following_ends_after_a_time_without_records() -> None:
    found = list(follow(cast("Consumer", Followed([ScriptedMessage()])), ["a"], from_beginning=True, idle_s=0.01))
    assert found[0] is not None
    assert {None} == set(found[1:])
