"""Delivery reports by record."""

from typing import cast

import pytest
from confluent_kafka import KafkaError, Message

from emotag_worker.errors import BatchAborted, DeliveryRefused, RecordsRefused
from emotag_worker.kafka.output.failures import DeliveryFailures
from emotag_worker.wire.record import Refusal
from tests.unit.worker.kafka.scripted import TOPIC, ScriptedMessage


def report(failures: DeliveryFailures, *reports: tuple[int, int | None], count: int = 10) -> None:
    """Report an error code, or none, for each record."""
    callbacks = failures.begin(count)
    for index, code in reports:
        callbacks[index](None if code is None else KafkaError(code), cast("Message", ScriptedMessage((2, 5))))


def test_a_refused_record_is_identified_by_its_index() -> None:
    failures = DeliveryFailures()
    report(failures, (3, KafkaError.INVALID_TIMESTAMP), (4, KafkaError._INVALID_DIFFERENT_RECORD), (5, None))
    with pytest.raises(RecordsRefused) as raised:
        failures.stop_if_any([9])
    refusal = Refusal(TOPIC, 2, "timestamp", KafkaError(KafkaError.INVALID_TIMESTAMP).str())
    assert ({3: refusal}, [3, 4, 9]) == (raised.value.refused, raised.value.unwritten)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, RecordsRefused),
        (KafkaError.RECORD_LIST_TOO_LARGE, RecordsRefused),
        (KafkaError.INVALID_RECORD, RecordsRefused),
        (KafkaError.POLICY_VIOLATION, RecordsRefused),
        (KafkaError._UNKNOWN_TOPIC, DeliveryRefused),
        (KafkaError._TIMED_OUT, BatchAborted),
        (KafkaError._PURGE_QUEUE, BatchAborted),
    ],
)
def test_a_failed_delivery_is_repeated_unchanged_only_if_the_broker_may_accept_it(
    code: int, expected: type[Exception]
) -> None:
    failures = DeliveryFailures()
    failures.stop_if_any()
    report(failures, (0, code), (1, KafkaError._ALL_BROKERS_DOWN))
    with pytest.raises(expected):
        failures.stop_if_any()
    failures.begin(1)
    failures.stop_if_any()


def test_the_callbacks_of_one_batch_serve_the_next() -> None:
    failures = DeliveryFailures()
    few = list(failures.begin(2))
    assert few == list(failures.begin(5))[:2]
    assert 5 <= len(failures.begin(1))


def test_a_record_of_no_batch_is_noted_too() -> None:
    failures = DeliveryFailures()
    failures(None, cast("Message", ScriptedMessage()))
    assert failures.first is None
    failures(KafkaError(KafkaError._TIMED_OUT), cast("Message", ScriptedMessage()))
    assert failures.first is not None
