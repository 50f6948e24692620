"""Callbacks of a rebalance: their exceptions wait for the poll, and those of a replaced client are ignored."""

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import BatchAborted, StopWorker
from emotag_worker.kafka.input.callbacks import CallbackGuard, ignore_others, seek


def test_the_first_exception_is_kept_until_it_is_taken() -> None:
    guard = CallbackGuard()

    def fail(why: str) -> None:
        assert guard.running
        raise BatchAborted(why)

    assert not guard.run(lambda: fail("first"))
    assert not guard.run(lambda: fail("second"))
    assert guard.run(lambda: None)
    assert not guard.running
    assert "first" == str(guard.take_failure())
    assert guard.take_failure() is None


def test_a_client_that_was_replaced_changes_nothing() -> None:
    old, new = cast("Consumer", object()), cast("Consumer", object())
    seen: list[list[TopicPartition]] = []
    callback = ignore_others(lambda: new, seen.append)
    callback(old, [TopicPartition("texts", 0)])
    assert [] == seen
    callback(new, [TopicPartition("texts", 1)])
    assert [[TopicPartition("texts", 1)]] == seen


def test_a_partition_that_cannot_be_read_again_stops_the_worker() -> None:
    class Client:
        def seek(self, _: Any) -> None:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION, "Unknown partition"))

    with pytest.raises(StopWorker, match="cannot read texts-1 again from offset 7: Unknown partition; restart"):
        seek(cast("Consumer", Client()), ("texts", 1), 7)
