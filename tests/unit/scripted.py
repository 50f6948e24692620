"""A Kafka consumer that plays a script: what the real one does at a moment that no test can choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition

from worker.source import Source
from worker.telemetry import Telemetry

TOPIC = "texts"


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


@dataclass
class Turn:
    """One poll: what it sets free, partitions that change hands in it, then what it returns.

    An assignment may be empty.
    """

    released: Event | None = None
    assigned: Sequence[int] | None = None
    revoked: Sequence[int] = ()
    lost: Sequence[int] = ()
    message: ScriptedMessage | None = None


@dataclass
class ScriptedConsumer:
    """Plays its turns, one a poll; nothing comes after the last."""

    turns: list[Turn]
    seeks: dict[int, int] = field(default_factory=dict)
    callbacks: dict[str, Callable[..., None]] = field(default_factory=dict)

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

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

    def consumer_group_metadata(self) -> None:
        return None


def source_of(consumer: ScriptedConsumer) -> Source:
    """A source that reads from *consumer*, not yet subscribed."""
    source = Source(TOPIC, deadline_s=1, telemetry=Telemetry())
    source.attach(cast("Consumer", consumer))
    return source
