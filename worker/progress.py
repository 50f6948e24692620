"""How far the dead letters were put back: an offset for each partition, and a note on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from .errors import EmotagError
from .offsets import Partition


class NoteUnreadable(EmotagError):
    def __init__(self, partition: int) -> None:
        super().__init__(
            f"what is noted of earlier replays of partition {partition} is not emotag's; say where to begin: --from"
        )


@dataclass(frozen=True)
class Progress:
    """How far the dead letters of one partition are settled: put back, or passed over for good.

    As an offset and a note it is committed in the very transaction that puts the records back. With a single offset,
    those that a replay of one reason leaves out would have to be given up, or put back twice.

    Attributes:
        offset: all before it are settled, but for
        reasons: those of these reasons, which are settled up to an offset of their own.
    """

    offset: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, offset: int, note: str | None, partition: int) -> "Progress":
        """As it was committed.

        Raises:
            NoteUnreadable: somebody else did that.
        """
        try:
            return cls(offset, msgspec.json.decode(note, type=dict[str, int]) if note else {})
        except msgspec.MsgspecError as error:
            raise NoteUnreadable(partition) from error

    @property
    def note(self) -> str:
        """What the offset does not say; nothing where it says it all."""
        return msgspec.json.encode(self.reasons, order="sorted").decode() if self.reasons else ""

    def first(self, reason: str | None) -> int:
        """Where those begin that are not settled: of one reason, or of all."""
        return min([self.offset, *self.reasons.values()]) if reason is None else self.reasons.get(reason, self.offset)

    def settled(self, reason: str, offset: int) -> bool:
        """Whether a dead letter is."""
        return offset < self.first(reason)

    def after(self, offset: int, reason: str | None) -> "Progress":
        """Once all before *offset* are settled that are of that reason, or of any."""
        reasons = dict(self.reasons)
        if reason is not None:
            reasons[reason] = max(offset, self.first(reason))
            return Progress(self.offset, reasons)
        upto = max(offset, self.offset)
        return Progress(upto, {name: max(offset, at) for name, at in reasons.items() if max(offset, at) != upto})


Notes = dict[Partition, str]


class NotingProducer(Producer):
    """A producer whose transactions commit offsets with notes on them: a sink knows of offsets alone.

    Attributes:
        notes: on the offsets that are committed next.
    """

    def __init__(self, config: dict[str, Any], **keywords: Any) -> None:
        super().__init__(config, **keywords)
        self.notes: Notes = {}

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float = -1
    ) -> None:
        super().send_offsets_to_transaction([_noted(at, self.notes) for at in positions], group_metadata, timeout)


class ReplayGroup:
    """The consumer group that remembers a replay. Nobody joins it.

    Args:
        consumer: of that group, with partitions assigned by hand.
        notes: as of `NotingProducer`.
    """

    def __init__(self, consumer: Consumer, notes: Notes) -> None:
        self._consumer = consumer
        self._notes = notes

    def group_metadata(self) -> Any:
        """For a transaction."""
        return self._consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit without a transaction, and wait for it."""
        positions = [_noted(TopicPartition(*partition, offset), self._notes) for partition, offset in offsets.items()]
        for committed in self._consumer.commit(offsets=positions, asynchronous=False) or ():
            if committed.error is not None:
                raise KafkaException(committed.error)


def _noted(at: TopicPartition, notes: Notes) -> TopicPartition:
    return TopicPartition(at.topic, at.partition, at.offset, notes.get((at.topic, at.partition), ""))
