"""A Kafka consumer that plays a script, and brokers with offsets that a test chooses.

A real consumer rebalances at moments that no test can choose.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.kafka.connection import Connection
from emotag_worker.kafka.input.positions import Positions
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.offsets import Committed, OffsetReader
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import Settings
from emotag_worker.wire.record import Partition

TOPIC = "texts"


class Connected:
    """A client with a connection, as those of `clients.py` have."""

    connection = Connection(Settings())


@dataclass
class ScriptedMessage:
    """A record, or an error in its place."""

    at: tuple[int, int] = (0, 0)
    words: bytes | None = b'{"text": "a"}'
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self.words

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0

    def leader_epoch(self) -> int | None:
        return None


@dataclass
class Turn:
    """One poll: the event that it sets, the partitions that move in it, then the message that it returns.

    An assignment may be empty.
    """

    released: Event | None = None
    assigned: Sequence[int] | None = None
    revoked: Sequence[int] = ()
    lost: Sequence[int] = ()
    message: ScriptedMessage | None = None


@dataclass
class ScriptedConsumer(Connected):
    """Plays its turns, one a poll; nothing comes after the last."""

    turns: list[Turn]
    seeks: dict[int, int] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)
    pauses: int = 0
    callbacks: dict[str, Callable[..., None]] = field(default_factory=dict)
    list_topics: Callable[..., None] = lambda *_, **__: None
    member_id: str = "member"
    generation: int = 1

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def consume(self, most: int, timeout_s: float) -> list[ScriptedMessage]:
        """The messages of the next turns, up to the first turn without one: then the client has nothing more."""
        messages: list[ScriptedMessage] = []
        while len(messages) < most and (message := self.poll(timeout_s)) is not None:
            messages.append(message)
        return messages

    def poll(self, timeout_s: float) -> ScriptedMessage | None:
        turn = self.turns.pop(0) if self.turns else Turn()
        if turn.released is not None:
            turn.released.set()
        changes = {"on_assign": turn.assigned, "on_revoke": turn.revoked or None, "on_lost": turn.lost or None}
        for name, partitions in changes.items():
            if partitions is not None:
                self.callbacks[name](self, [TopicPartition(TOPIC, partition) for partition in partitions])
        return turn.message

    def seek(self, partition: TopicPartition) -> None:
        self.seeks[partition.partition] = partition.offset

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.pauses += 1
        self.paused |= {each.partition for each in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {each.partition for each in partitions}

    def consumer_group_metadata(self) -> str:
        return f"{self.member_id}, generation {self.generation}" if self.callbacks else "no member"

    def memberid(self) -> str | None:
        return self.member_id if self.callbacks else None


@dataclass
class RestartableConsumer(ScriptedConsumer):
    """A scripted consumer that notes how stopped partitions are given to it again, and what it commits."""

    read_from: dict[int, int] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    busy: bool = False

    def seek(self, partition: TopicPartition) -> None:
        if self.busy:
            raise KafkaException(KafkaError(KafkaError._STATE))
        super().seek(partition)

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


class NoGroup:
    """The member of a batch that is never written."""

    def group_metadata(self) -> None:
        """There is none."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """There is nothing to commit to."""


def no_positions() -> Positions:
    """The positions of a group that has committed nothing."""
    return Positions(ChosenOffsets({}).as_reader(), start="earliest", deadline_s=60, telemetry=Telemetry())


def source_of(consumer: ScriptedConsumer) -> KafkaSource:
    """A source that reads from *consumer*, not yet subscribed."""
    source = KafkaSource(TOPIC, deadline_s=1, telemetry=Telemetry(), positions=no_positions())
    source.attach(lambda: cast("Consumer", consumer))
    return source


def nothing() -> None:
    pass


def nothing_forgotten() -> Mapping[Partition, int]:
    return {}


def subscribed(
    *turns: Turn,
    before_revoke: Callable[[], None] = nothing,
    when_lost: Callable[[], Mapping[Partition, int]] = nothing_forgotten,
) -> tuple[KafkaSource, ScriptedConsumer]:
    """A source that owns partitions 0 and 1, and the consumer behind it with *turns* to come."""
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *turns])
    source = source_of(consumer)
    source.subscribe(before_revoke=before_revoke, when_lost=when_lost)
    assert [] == source.poll(10, 1_000_000, timeout_s=0)
    return source, consumer


def places(source: KafkaSource) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in source.poll(10, 1_000_000, timeout_s=0)]
