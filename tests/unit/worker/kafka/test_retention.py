"""Input records that are older than a topic keeps their answers."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from emotag_worker.kafka.offsets import OffsetReader, PartitionOffsets
from emotag_worker.kafka.retention import count_old, fetch_retention_ms, find_short_retentions

DELETED = {"cleanup.policy": "delete", "retention.ms": "1000", "message.timestamp.type": "CreateTime"}


class Admin:
    """Answers one question: the configuration of a topic."""

    def __init__(self, config: dict[str, str] | None) -> None:
        self._config = config

    def describe_configs(self, resources: list[Any], **_: Any) -> dict[Any, Future[Any]]:
        answer: Future[Any] = Future()
        if self._config is None:
            answer.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
        else:
            answer.set_result({name: SimpleNamespace(value=value) for name, value in self._config.items()})
        return {resources[0]: answer}


@pytest.mark.parametrize(
    ("young", "expected"),
    [(100, 30), (75, 5), (70, 0), (20, 0)],
    ids=["none is young", "some are old", "the next is young", "all are young"],
)
def test_only_waiting_records_before_the_first_young_one_count(young: int, expected: int) -> None:
    at = ("texts", 0)
    assert expected == count_old({at: PartitionOffsets(0, 70, 100)}, {at: young})


def test_deleted_records_do_not_wait() -> None:
    at = ("texts", 0)
    assert 5 == count_old({at: PartitionOffsets(90, 70, 100)}, {at: 95})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 1000),
        ({"retention.ms": "-1"}, None),
        ({"cleanup.policy": "compact"}, None),
        ({"cleanup.policy": "compact,delete"}, 1000),
        ({"message.timestamp.type": "LogAppendTime"}, None),
    ],
)
def test_a_topic_deletes_by_the_timestamps_of_producers_or_does_not(
    changed: dict[str, str], expected: int | None
) -> None:
    assert expected == fetch_retention_ms(cast("AdminClient", Admin(DELETED | changed)), "emotions")


@pytest.mark.parametrize("config", [{}, {**DELETED, "retention.ms": None}, {**DELETED, "cleanup.policy": None}])
def test_brokers_that_do_not_report_a_setting_stop_no_worker(config: dict[str, Any]) -> None:
    """Some services that speak Kafka's protocol know fewer settings."""
    assert [] == find_short_retentions(
        cast("AdminClient", Admin(config)), cast("OffsetReader", None), [("texts", 0)], ["emotions"]
    )


def test_a_worker_that_may_not_ask_starts_without_the_warning() -> None:
    assert [] == find_short_retentions(
        cast("AdminClient", Admin(None)), cast("OffsetReader", None), [("texts", 0)], ["emotions"]
    )
