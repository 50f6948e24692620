"""The offsets of a group and of partitions: request them without joining the group, and commit them.

Only consumers request them, with one request for each kind of offset and broker, for all partitions. An admin client
can end its process with a failed assertion if a broker is killed during a request (librdkafka's issue 3663, open as of
2.16). On the connections of the consumer that reads records, a request would wait behind a long fetch.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.wire.record import Partition

from .topics import request

Answer = TypeVar("Answer")

NO_EPOCH = -1
"""The client's value for an offset without a leader epoch."""

REQUEST_S = 2.0
"""Longest single request; answers normally take milliseconds. The worker's poll waits for up to 27 of them after a
rebalance, so together they must stay far below `max.poll.interval.ms` (300 s). The first that fails ends the lookup."""


@dataclass(frozen=True)
class Committed:
    """The committed offset of a group in one partition.

    Attributes:
        offset: the next offset that the group reads; None if it has committed nothing.
        note: the metadata of the commit.
    """

    offset: int | None
    note: str = ""


@dataclass(frozen=True)
class PartitionOffsets:
    """The offsets of a group in one partition.

    Attributes:
        beginning: the first record that retention has not deleted.
        committed: the next offset that the group reads; None if it has committed nothing.
        end: the end of what consumers may read: before the first record of an open transaction (last stable offset).
        undecided: offsets after `end`, which nobody may read before the transaction in front of them ends.
    """

    beginning: int
    committed: int | None
    end: int
    undecided: int = 0

    @property
    def next_read(self) -> int:
        """The first offset that the group has not committed and that exists."""
        return max(self.committed or 0, self.beginning)

    @property
    def lag(self) -> int:
        """Offsets that the group may read and has not committed; deleted records do not count."""
        return max(0, self.end - self.next_read)


class OffsetReader:
    """The offsets of one group, and of the partitions that it reads. Every method can raise KafkaException.

    Args:
        decided, every: consumers in the group that never join it, with `isolation.level` read_committed and
            read_uncommitted. The level decides which end the brokers return.
    """

    def __init__(self, decided: Consumer, every: Consumer) -> None:
        self._decided = decided
        self._every = every

    def list_partitions(self, topic: str) -> list[Partition]:
        """Return all partitions of a topic."""
        found = self._every.list_topics(topic, timeout=REQUEST_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return [(topic, number) for number in sorted(found.partitions)]

    def fetch_committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """Return what the group has committed, without waiting for its own open transactions."""
        return {
            (at.topic, at.partition): Committed(at.offset if at.offset >= 0 else None, at.metadata or "")
            for at in _require_all(self._ask_committed(partitions))
        }

    def fetch_beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first record that exists in each partition."""
        return _collect_offsets(_require_all(_ask(self._every, partitions, OFFSET_BEGINNING)))

    def fetch_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset after the last committed record of each partition."""
        return _collect_offsets(_require_all(_ask(self._decided, partitions, OFFSET_END)))

    def fetch_at(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        """Return the offset of the first record with a timestamp of *time_ms* or later; without one, the end."""
        asked = list(partitions)
        ends = self.fetch_ends(asked)
        found = _collect_offsets(_require_all(_ask(self._decided, asked, time_ms)))
        # A record of a transaction that is still open has an offset after the end: begin before it.
        return {at: min(found[at], end) if found[at] >= 0 else end for at, end in ends.items()}

    def fetch_all(
        self, partitions: Collection[Partition], *, partly: bool = False
    ) -> dict[Partition, PartitionOffsets]:
        """Return all offsets of each partition.

        Args:
            partly: leave out partitions whose brokers return an error, in place of raising it.
        """
        select = _select_answered if partly else _require_all
        # The end first: records that arrive between the two requests would otherwise count as undecided.
        ends = _collect_offsets(select(_ask(self._every, partitions, OFFSET_END)))
        stable = _collect_offsets(select(_ask(self._decided, partitions, OFFSET_END)))
        beginnings = _collect_offsets(select(_ask(self._every, partitions, OFFSET_BEGINNING)))
        committed = _collect_offsets(select(self._ask_committed(partitions)))
        return {
            at: PartitionOffsets(
                beginnings[at], committed[at] if committed[at] >= 0 else None, stable[at], max(0, ends[at] - stable[at])
            )
            for at in partitions
            if at in beginnings and at in stable and at in ends and at in committed
        }

    def repeat(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """Call one of these methods again until brokers answer; as `topics.request`."""
        return request(self._every, doing, call)

    def discard_events(self) -> None:
        """Run the clients' callbacks, so that events do not pile up."""
        for client in (self._decided, self._every):
            client.poll(0)

    def _ask_committed(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        return self._every.committed([TopicPartition(*partition) for partition in partitions], timeout=REQUEST_S)


def build_positions(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    """Return offsets as the client takes them, with the leader epoch of each `NextOffset`."""
    return [
        TopicPartition(*partition, offset, leader_epoch=getattr(offset, "leader_epoch", NO_EPOCH))
        for partition, offset in offsets.items()
    ]


def commit_offsets(consumer: Consumer, positions: Sequence[TopicPartition]) -> None:
    """Commit outside a transaction, and wait for the brokers.

    Raises:
        KafkaException: the brokers refuse, also if they refuse only one of *positions*.
    """
    for committed in consumer.commit(offsets=list(positions), asynchronous=False) or ():
        if committed.error is not None:
            raise KafkaException(committed.error)


def _ask(client: Consumer, partitions: Iterable[Partition], which: int) -> list[TopicPartition]:
    # The protocol uses the numbers of the beginning and the end in place of a time, and the client passes them on.
    asked = [TopicPartition(*partition, which) for partition in partitions]
    answers = client.offsets_for_times(asked, timeout=REQUEST_S)
    if any(at.error is not None and at.error.code() == KafkaError._UNKNOWN_PARTITION for at in answers):
        # The partition was added after this client last asked for metadata, which it does every few minutes.
        for topic in {at.topic for at in asked}:
            with contextlib.suppress(KafkaException):  # the next request has the error
                client.list_topics(topic, timeout=REQUEST_S)
        answers = client.offsets_for_times(asked, timeout=REQUEST_S)
    return answers


def _require_all(answers: list[TopicPartition]) -> list[TopicPartition]:
    """Return the answers; raise the error of the first partition that has one."""
    for at in answers:
        if at.error is not None:
            raise KafkaException(at.error)
    return answers


def _select_answered(answers: list[TopicPartition]) -> list[TopicPartition]:
    return [at for at in answers if at.error is None]


def _collect_offsets(answers: Iterable[TopicPartition]) -> dict[Partition, int]:
    return {(at.topic, at.partition): at.offset for at in answers}
