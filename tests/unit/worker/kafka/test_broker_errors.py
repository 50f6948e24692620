"""Errors of the client, and the errors of the worker that they become."""

import pytest
from confluent_kafka import KafkaError

from emotag_worker.errors import Denied, Fenced, StopWorker
from emotag_worker.kafka.broker_errors import explain_denial, explain_fatal, stop_if_denied


def test_a_missing_permission_names_the_topic() -> None:
    with pytest.raises(Denied, match=r"of texts\).*ACLs"):
        stop_if_denied(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), topic="texts")


def test_a_missing_permission_without_a_topic_names_none() -> None:
    assert " of )" not in str(explain_denial(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT])
def test_unreachable_brokers_are_no_denial(code: int) -> None:
    assert explain_denial(KafkaError(code)) is None
    stop_if_denied(KafkaError(code))


@pytest.mark.parametrize("error", [KafkaError(KafkaError.PRODUCER_FENCED), KafkaError(KafkaError._FATAL, "fenced by")])
def test_a_takeover_is_recognised_by_its_code_or_its_text(error: KafkaError) -> None:
    assert isinstance(explain_fatal("writing", error), Fenced)


def test_any_other_fatal_error_names_what_failed() -> None:
    found = explain_fatal("writing", KafkaError(KafkaError._FATAL, "out of sequence"))
    assert StopWorker is type(found)
    assert str(found).startswith("writing failed: out of sequence")
