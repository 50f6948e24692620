"""A dead-letter topic in memory, and a consumer that reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from emotag_worker.errors import BadRecord, NoText
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Headers, Record
from tests.unit.worker.kafka.scripted import Connected, ScriptedMessage

NEVER = -1001
"""The offset that the client returns for a partition without a commit."""


def dead_letter_headers(
    error: BadRecord | None = None, *, group: str = "emotag", failed_at: datetime | None = None, own: Headers = ()
) -> Headers:
    """The headers of a dead letter from the topic `texts`."""
    encoder = RecordEncoder({}, "emotions", "texts.dlq", group, "1")
    record = Record("texts", 0, 0, None, b"", own)
    now = failed_at or datetime.now(UTC)
    return encoder.encode_dead_letter(record, error or NoText("text", "missing"), now).headers


def stub_headers(*, failed_at: datetime | None = None) -> Headers:
    """The headers of a stub, in place of a dead letter of the topic `texts`."""
    encoder = RecordEncoder({}, "emotions", "texts.dlq", "emotag", "1")
    record = Record("texts", 0, 0, None, b"value")
    letter = encoder.encode_dead_letter(record, NoText("text", "missing"), failed_at or datetime.now(UTC))
    return encoder.encode_stub(letter, record, "too large").headers


class Letter(ScriptedMessage):
    """One message of the topic, or an error in its place."""

    def __init__(
        self,
        offset: int,
        headers: Headers = (),
        partition: int = 0,
        value: bytes | None = b"value",
        failure: KafkaError | None = None,
    ) -> None:
        super().__init__((partition, offset), value, failure)
        self._headers = headers

    def topic(self) -> str:
        return "texts.dlq"

    def key(self) -> bytes | None:
        return b"key"

    def headers(self) -> Any:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, 5


@dataclass
class DeadLetters(Connected):
    """A consumer of one partition, which ends at *end*; *committed* is the progress of earlier replays."""

    letters: Sequence[Letter]
    end: int
    committed_: tuple[int, str] = (NEVER, "")
    waiting: list[Letter] = field(default_factory=list)
    commits: list[list[TopicPartition]] = field(default_factory=list)

    def list_topics(self, topic: str, *, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=[0])})

    def get_watermark_offsets(self, partition: TopicPartition, *, timeout: float) -> tuple[int, int]:
        return 0, self.end

    def committed(self, asked: Sequence[TopicPartition], *, timeout: float) -> list[TopicPartition]:
        offset, note = self.committed_
        return [TopicPartition(at.topic, at.partition, offset, note) for at in asked]

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        first = {at.partition: at.offset for at in partitions}
        self.waiting = [each for each in self.letters if each.offset() >= first.get(each.partition(), 2**62)]

    def unassign(self) -> None:
        self.waiting = []

    def poll(self, timeout_s: float) -> Letter | None:
        return self.waiting.pop(0) if self.waiting else None

    def consumer_group_metadata(self) -> None:
        return None
