"""Decide where to continue if the next record to read is gone: deleted, truncated, or of a topic that was replaced."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Gap:
    """Offsets that a reader cannot read any more, and where it continues.

    Attributes:
        kind: `deleted`: retention deleted records before they were read. `truncated`: the log became shorter, so
            records that were already read no longer exist. `replaced`: the topic was deleted and created again.
            `unreadable`: the client cannot decompress the records, or they are damaged.
        position: the offset that was to be read.
        resume: the offset to continue at.
        offsets: the number of offsets that the reader skips; for `truncated`, the number that disappeared.
    """

    kind: Literal["deleted", "truncated", "replaced", "unreadable"]
    position: int
    resume: int
    offsets: int

    def describe(self, topic: str, partition: int) -> str:
        """Return the event in words."""
        place = f"{topic}-{partition}"
        match self.kind:
            case "deleted":
                return (
                    f"offsets {self.position} to {self.resume - 1} of {place} were deleted before they were read; "
                    f"the first that exists is {self.resume}"
                )
            case "unreadable":
                return (
                    f"offsets {self.position} to {self.resume - 1} of {place} cannot be read: their batches are "
                    "damaged, or larger than receive.message.max.bytes (100 MB by default) after decompression; "
                    f"the next offset is {self.resume}"
                )
            case "truncated":
                return (
                    f"{place} was truncated: offset {self.position} is to be read, but the partition ends at "
                    f"{self.resume}; the brokers lost records that were already read"
                )
            case "replaced":
                return (
                    f"{place} was deleted and created again: offset {self.position} is to be read, but the group has "
                    f"no committed offset any more; the first record is at {self.resume}"
                )


def find_gap(position: int, *, committed: int | None, beginning: int, end: int, diverged: int | None) -> Gap | None:
    """Return the gap at *position*; None if the record exists, so that reading it again succeeds.

    Args:
        committed: the committed offset of the group. Brokers delete it together with the topic.
        beginning: the first offset that exists.
        end: the offset after the last committed record.
        diverged: the first offset at which the log differs from the log that was read (KIP-320), if that is known.
    """
    if position < beginning:
        return Gap("deleted", position, beginning, beginning - position)
    if position <= (end if diverged is None else diverged):
        return None
    if committed is None:
        return Gap("replaced", position, beginning, 0)
    resume = max(beginning, end if diverged is None else diverged)
    return Gap("truncated", position, resume, max(0, position - resume))
