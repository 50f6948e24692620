"""Messages of the Kafka client as records."""

from typing import cast

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from emotag_worker.kafka.message import read_record
from emotag_worker.wire.record import Record
from tests.unit.worker.kafka.scripted import TOPIC, ScriptedMessage


def read(message: ScriptedMessage) -> Record:
    return read_record(cast("Message", message))


def test_a_record_has_its_place_and_its_bytes() -> None:
    assert Record(TOPIC, 3, 7, None, b"x", (), 0) == read(ScriptedMessage((3, 7), b"x"))


def test_a_record_without_a_timestamp_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedMessage, "timestamp", lambda _: (TIMESTAMP_NOT_AVAILABLE, 5))
    assert read(ScriptedMessage()).timestamp_ms is None
    monkeypatch.setattr(ScriptedMessage, "timestamp", lambda _: (TIMESTAMP_CREATE_TIME, 5))
    assert 5 == read(ScriptedMessage()).timestamp_ms


@pytest.mark.parametrize("error", [SystemError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")])
def test_headers_that_the_client_cannot_read_are_none(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: ScriptedMessage) -> None:
        raise error

    monkeypatch.setattr(ScriptedMessage, "headers", fail)
    assert read(ScriptedMessage()).headers is None
