"""Records read from a topic, records to write, and the offsets of several records."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from emotag_schemas.dead_letter import Headers as Headers  # consumers of the dead letters need the type without us

Partition = tuple[str, int]
"""(topic, partition)"""


class Record(msgspec.Struct, frozen=True):
    """A record read from Kafka. A struct, because a frozen dataclass takes five times as long to create.

    Attributes:
        headers: None if the client cannot read them.
        timestamp_ms: milliseconds since 1970, UTC; None if the producer set none.
        leader_epoch: the number of the leader that wrote the record (KIP-320); None if the broker sends none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = ()
    timestamp_ms: int | None = None
    leader_epoch: int | None = None


def format_place(record: Record) -> str:
    """Return topic-partition-offset, which identifies *record*."""
    return f"{record.topic}-{record.partition}-{record.offset}"


def size_of(record: Record) -> int:
    """Return the bytes of the content of *record*: its value, its key and its headers."""
    size = len(record.value or b"") + len(record.key or b"")
    return size + size_of_headers(record.headers) if record.headers else size


class Outgoing(msgspec.Struct, frozen=True):
    """A record to write. Without a timestamp, it gets the time of writing; without a partition, its key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None
    partition: int | None = None


def size_of_headers(headers: Headers | None) -> int:
    """Return the bytes of the names and values of headers."""
    return sum(len(name) + len(content or b"") for name, content in headers or ())


class Refusal(msgspec.Struct, frozen=True):
    """One record that the brokers did not accept, and would not accept again.

    Attributes:
        topic, partition: of the record. If the client refused the record before it chose a partition, the partition is
            negative, and another one for each record.
        cause: the property of the record that the brokers name; `record` is any other, `policy` a rule of the
            operators.
        reason: the brokers' error in words. Contains no part of the record.
    """

    topic: str
    partition: int
    cause: Literal["size", "timestamp", "record", "policy"]
    reason: str


class Answer(msgspec.Struct):
    """A record of the input, and what the worker writes for it: a result, a dead letter, or nothing.

    Attributes:
        outgoing: None if the worker writes nothing.
        source: the origin of a result, as in `BatchCounts.sources`; empty without a result.
        reason: the reason of a dead letter; empty without a dead letter.
        truncated: a result of which only the beginning of the text was tagged.
    """

    record: Record
    outgoing: Outgoing | None
    source: str = ""
    reason: str = ""
    truncated: bool = False


class NextOffset(int):
    """The offset after a record, with the leader epoch of the record.

    Committed together, they show a later reader that the log was truncated after the commit (KIP-320).
    """

    leader_epoch: int

    def __new__(cls, offset: int, leader_epoch: int) -> "NextOffset":
        made = super().__new__(cls, offset)
        made.leader_epoch = leader_epoch
        return made


def next_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """Return the offsets to commit once *records* are done: by partition. A record with a leader epoch gives a
    `NextOffset`."""
    last: dict[Partition, Record] = {}
    for record in records:
        partition = (record.topic, record.partition)
        if (seen := last.get(partition)) is None or record.offset > seen.offset:
            last[partition] = record
    return {
        at: record.offset + 1 if record.leader_epoch is None else NextOffset(record.offset + 1, record.leader_epoch)
        for at, record in last.items()
    }


def first_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """Return the offsets from which to read *records* again: per partition, the offset of its first record."""
    offsets: dict[Partition, int] = {}
    for record in records:
        partition = (record.topic, record.partition)
        offsets[partition] = min(offsets.get(partition, record.offset), record.offset)
    return offsets
