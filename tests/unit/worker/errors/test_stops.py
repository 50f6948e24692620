"""Errors that stop the worker: exit codes, and messages that say what to do."""

import pytest

from emotag_worker.errors import (
    PERSON_NEEDED,
    RESTART,
    DataLoss,
    GroupRefused,
    LocalServerFailed,
    NoCommittedOffsets,
    RecordsRefused,
    StopWorker,
    TooManyDeadLetters,
    TopicMissing,
    WorkerError,
)
from emotag_worker.wire.record import Refusal

from .test_base import kinds_under

A_PERSON_MUST_FIX = {TopicMissing, GroupRefused, NoCommittedOffsets, DataLoss, TooManyDeadLetters}


@pytest.mark.parametrize("kind", [*kinds_under(StopWorker), LocalServerFailed])
def test_a_worker_that_stops_may_be_restarted_unless_a_person_must_fix_something(kind: type[WorkerError]) -> None:
    """A supervisor that restarted the others would do so without end."""
    assert (PERSON_NEEDED if kind in A_PERSON_MUST_FIX else RESTART) == kind.exit_code


def test_refused_records_are_counted_and_the_first_is_named() -> None:
    refused = {3: Refusal("emotions", 0, "size", "too large"), 4: Refusal("dead", 0, "size", "larger")}
    assert "the brokers refuse 2 records, the first of them for emotions (too large)" == str(
        RecordsRefused(refused, [3])
    )


def test_a_missing_topic_is_named_with_its_setting_the_brokers_and_the_remedy() -> None:
    topics = {"texts": "EMOTAG_INPUT__TOPIC", "texts.dlq": "EMOTAG_DLQ__TOPIC"}
    assert str(TopicMissing(topics, "localhost:9092")) == (
        "no such topic: texts (EMOTAG_INPUT__TOPIC), texts.dlq (EMOTAG_DLQ__TOPIC), on Kafka at localhost:9092; check "
        "the name, or create the worker's topics with: emotag topics create"
    )
