"""A consumer that asks for offsets, and is answered with fixed numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.kafka.connection import Connection
from emotag_worker.kafka.offsets import OffsetReader
from emotag_worker.settings import loader

TOPIC = "texts"
NEVER = -1001
"""The offset that the client returns for a partition without a commit."""


@dataclass
class Answers:
    """Answers by partition; the first requests fail. A partition whose number is None has no leader.

    Attributes:
        end: what it returns as the end: the stable offset, or the offset after the last record.
        times: the first record of the time that is asked for; below 0 if there is none.
        added: partitions that the client does not know until it lists the topic.
    """

    end: Mapping[int, int | None]
    beginning: Mapping[int, int] = field(default_factory=dict)
    commits: Mapping[int, int | None] = field(default_factory=dict)
    times: Mapping[int, int] = field(default_factory=dict)
    failures: list[KafkaError] = field(default_factory=list)
    added: set[int] = field(default_factory=set)
    polls: int = 0
    connection: Connection = field(
        default_factory=lambda: Connection(loader.load(flags={"kafka": {"broker_timeout_s": 0.1}}))
    )

    def list_topics(self, topic: str, timeout: float) -> Any:
        self._fail()
        self.added.clear()
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=dict.fromkeys(self.end), error=None)})

    def offsets_for_times(self, asked: Sequence[TopicPartition], timeout: float) -> list[Any]:
        self._fail()
        numbers = {OFFSET_BEGINNING: self.beginning, OFFSET_END: self.end}.get(asked[0].offset, self.times)
        unknown = KafkaError(KafkaError._UNKNOWN_PARTITION)
        return [
            self._answer(at.partition, -1, unknown)
            if at.partition in self.added
            else self._answer(at.partition, numbers[at.partition])
            for at in asked
        ]

    def committed(self, asked: Sequence[TopicPartition], timeout: float) -> list[Any]:
        self._fail()
        return [self._answer(at.partition, self.commits[at.partition]) for at in asked]

    def poll(self, timeout_s: float) -> None:
        self.polls += 1

    def _fail(self) -> None:
        if self.failures:
            raise KafkaException(self.failures.pop())

    @staticmethod
    def _answer(partition: int, offset: int | None, error: KafkaError | None = None) -> Any:
        error = KafkaError(KafkaError.LEADER_NOT_AVAILABLE) if offset is None else error
        return SimpleNamespace(topic=TOPIC, partition=partition, offset=offset, error=error, metadata=None)


def reader_of(decided: Answers, every: Answers) -> OffsetReader:
    return OffsetReader(cast("Consumer", decided), cast("Consumer", every))
