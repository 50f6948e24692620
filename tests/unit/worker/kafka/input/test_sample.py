"""The newest records of the input topic, which show whether the settings can read any."""

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from emotag_worker.kafka import clients
from emotag_worker.kafka.input import sample
from emotag_worker.kafka.input.sample import NEWEST, can_read_newest, read_newest
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import Settings
from tests.unit.worker.kafka.scripted import TOPIC, Connected, ScriptedMessage

END, END_1 = (ScriptedMessage((number, 0), failure=KafkaError(KafkaError._PARTITION_EOF)) for number in (0, 1))


class Reader(Connected):
    """A consumer of two partitions, with 1,000 offsets and with 10, that returns given messages."""

    def __init__(self, messages: Sequence[ScriptedMessage | None], bounds: tuple[int, int] | None = (0, 1000)) -> None:
        self.messages, self.bounds = list(messages), bounds
        self.assigned: list[TopicPartition] = []
        self.closed = False

    def list_topics(self, topic: str, *, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions={0: None, 1: None})})

    def get_watermark_offsets(self, partition: TopicPartition, *, timeout: float) -> tuple[int, int] | None:
        return self.bounds if partition.partition == 0 else (3, 10)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def poll(self, timeout_s: float) -> ScriptedMessage | None:
        return self.messages.pop(0)

    def close(self) -> None:
        self.closed = True


def ask(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(clients, "create_finite_reader", lambda _: reader)
    found = can_read_newest(Settings(), Telemetry())
    assert reader.closed
    return found


def test_the_newest_offsets_of_every_partition_are_read_to_their_ends() -> None:
    reader = Reader([ScriptedMessage((0, 999)), None, END, ScriptedMessage((1, 9)), END_1])
    records = list(read_newest(cast("Consumer", reader), TOPIC))
    assert [(0, 999), (1, 9)] == [(record.partition, record.offset) for record in records]
    assert [1000 - NEWEST, 3] == [partition.offset for partition in reader.assigned]
    assert [] == reader.messages


def test_one_record_that_can_be_read_is_enough_and_the_burst_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [ScriptedMessage((0, 990), value) for value in (b"not JSON", None, b"{}")]
    with capture_logs() as logs:
        assert ask(Reader([*bad, ScriptedMessage((1, 9), b'{"text": "a"}')]), monkeypatch)
    assert ["dead_letter_burst_seen"] == [event["event"] for event in logs]


def test_if_no_record_can_be_read_the_settings_are_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as logs:
        assert not ask(Reader([ScriptedMessage((0, 990), b"not JSON"), END, END_1]), monkeypatch)
    assert [] == logs


def test_brokers_that_do_not_answer_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ask(Reader([], bounds=None), monkeypatch)


def test_a_partition_that_ends_again_and_again_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer of bad records continues meanwhile."""
    bad, good = ScriptedMessage((0, 999), b"not JSON"), ScriptedMessage((1, 9), b'{"text": "a"}')
    assert ask(Reader([bad, END, bad, END, good]), monkeypatch)


def test_the_requests_of_all_partitions_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SAMPLE_S", 0.01)
    reader, waits = Reader([None, None]), []

    def answer_late(partition: TopicPartition, *, timeout: float) -> tuple[int, int]:
        waits.append(timeout)
        time.sleep(0.02)
        return 0, 10

    monkeypatch.setattr(reader, "get_watermark_offsets", answer_late)
    with pytest.raises(KafkaException):
        list(read_newest(cast("Consumer", reader), TOPIC))
    assert 1 == len(waits)


def test_a_sample_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker polls nothing meanwhile, and would have to leave its group."""
    monkeypatch.setattr(sample, "SAMPLE_S", 0.01)
    reader = Reader([])
    monkeypatch.setattr(reader, "poll", lambda _: None)
    assert [] == list(read_newest(cast("Consumer", reader), TOPIC))


def test_refused_bounds_are_an_error() -> None:
    with pytest.raises(KafkaException):
        list(read_newest(cast("Consumer", Reader([], bounds=None)), TOPIC))
