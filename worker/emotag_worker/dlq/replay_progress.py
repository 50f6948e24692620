"""The progress of replays: for each partition, an offset and a note on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from emotag_worker.errors import ProgressUnreadable
from emotag_worker.kafka.offsets import commit_offsets
from emotag_worker.wire.record import Partition


@dataclass(frozen=True)
class ReplayProgress:
    """The dead letters of one partition that are settled: put back, or left for good.

    Kafka stores the progress as an offset with a note, in the transaction that puts the records back. An offset alone
    is not enough: a replay of one reason leaves the others, which a later replay must neither skip nor repeat.

    Attributes:
        offset: all dead letters before it are settled, except those of *reasons*.
        reasons: for some reasons, the offset before which the dead letters of that reason are settled.
    """

    offset: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, offset: int, note: str | None, partition: int) -> "ReplayProgress":
        """Parse a committed offset and its note.

        Raises:
            ProgressUnreadable: emotag did not write the note.
        """
        try:
            return cls(offset, msgspec.json.decode(note, type=dict[str, int]) if note else {})
        except msgspec.MsgspecError as error:
            raise ProgressUnreadable(partition) from error

    @property
    def note(self) -> str:
        """The reasons as JSON; empty without reasons."""
        return msgspec.json.encode(self.reasons, order="sorted").decode() if self.reasons else ""

    def find_start(self, reason: str | None) -> int:
        """Return the first offset that may not be settled: of one reason, or of all."""
        return min([self.offset, *self.reasons.values()]) if reason is None else self.reasons.get(reason, self.offset)

    def is_settled(self, reason: str, offset: int) -> bool:
        """Return True if the dead letter at *offset* is settled."""
        return offset < self.find_start(reason)

    def advance(self, offset: int, reason: str | None) -> "ReplayProgress":
        """Return the progress once all dead letters before *offset* are settled: of one reason, or of all."""
        reasons = dict(self.reasons)
        if reason is not None:
            reasons[reason] = max(offset, self.find_start(reason))
            return ReplayProgress(self.offset, reasons)
        upto = max(offset, self.offset)
        return ReplayProgress(upto, {name: max(offset, at) for name, at in reasons.items() if max(offset, at) != upto})


Notes = dict[Partition, str]


class NotingProducer(Producer):
    """A producer whose transactions commit offsets with notes on them. A sink passes offsets only.

    Attributes:
        notes: the notes for the offsets of the next transaction.
    """

    def __init__(self, config: dict[str, Any], **keywords: Any) -> None:
        super().__init__(config, **keywords)
        self.notes: Notes = {}

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float = -1
    ) -> None:
        super().send_offsets_to_transaction([_add_note(at, self.notes) for at in positions], group_metadata, timeout)


class ReplayGroup:
    """The consumer group that stores the progress. It has no members.

    Args:
        consumer: of that group, with partitions assigned by hand.
        notes: as of `NotingProducer`.
    """

    def __init__(self, consumer: Consumer, notes: Notes) -> None:
        self._consumer = consumer
        self._notes = notes

    def group_metadata(self) -> Any:
        """Return the metadata for a transaction."""
        return self._consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit outside a transaction; as `commit_offsets`."""
        positions = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        commit_offsets(self._consumer, [_add_note(at, self._notes) for at in positions])


def _add_note(at: TopicPartition, notes: Notes) -> TopicPartition:
    return TopicPartition(at.topic, at.partition, at.offset, notes.get((at.topic, at.partition), ""))
