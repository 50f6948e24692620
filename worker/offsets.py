"""Which offsets a set of records stands for."""

from collections.abc import Iterable

from .record import Record

Partition = tuple[str, int]
"""(topic, partition)"""


def next_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """What to commit once *records* are done: per partition, the offset after the last of them."""
    offsets: dict[Partition, int] = {}
    for record in records:
        partition = (record.topic, record.partition)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    return offsets


def first_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """Where to read again if *records* were not done: per partition, the offset of the first of them."""
    offsets: dict[Partition, int] = {}
    for record in records:
        partition = (record.topic, record.partition)
        offsets[partition] = min(offsets.get(partition, record.offset), record.offset)
    return offsets
