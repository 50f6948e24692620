"""Offsets that a test chooses, in place of those of brokers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from emotag_worker.kafka.offsets import Committed, OffsetReader
from emotag_worker.wire.record import Partition
from tests.unit.worker.kafka.scripted import TOPIC, ScriptedConsumer


@dataclass
class RestartableConsumer(ScriptedConsumer):
    """A scripted consumer that notes how stopped partitions are given to it again, and what it commits."""

    read_from: dict[int, int] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)

    def assignment(self) -> list[TopicPartition]:
        return []

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        pass

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.read_from |= {at.partition: at.offset for at in partitions}

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        self.commits |= {at.partition: at.offset for at in offsets}


class ChosenOffsets:
    """A topic whose partitions have the offsets 10 to 19, and a time at offset 15.

    Args:
        committed: the committed offsets of the group, by partition.
        partitions: their number.
    """

    def __init__(self, committed: dict[int, Committed], *, partitions: int = 2) -> None:
        self.committed = committed
        self.partitions = partitions
        self.failing = False

    def list_partitions(self, topic: str) -> list[Partition]:
        return [(topic, number) for number in range(self.partitions)]

    def fetch_committed(self, partitions: Collection[Partition]) -> dict[Partition, Committed]:
        if self.failing:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return {at: self.committed.get(at[1], Committed(None)) for at in partitions}

    def fetch_beginnings(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 10)

    def fetch_ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 20)

    def fetch_at(self, partitions: Collection[Partition], time_ms: int) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 15)

    def as_reader(self) -> OffsetReader:
        return cast("OffsetReader", self)


def all_of(partitions: int) -> list[Partition]:
    return [(TOPIC, number) for number in range(partitions)]
