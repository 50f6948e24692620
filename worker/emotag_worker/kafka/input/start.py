"""Choose where to begin in partitions for which the group has no committed offset."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from emotag_worker.errors import NoCommittedOffsets
from emotag_worker.kafka.offsets import Committed, OffsetReader
from emotag_worker.settings.times import parse_time, to_ms
from emotag_worker.wire.record import Partition

START_NOTE = "emotag start of a topic with partitions: "
"""The metadata of a committed start, before the number of partitions that the topic had when the group began. Commits
with results have none."""


@dataclass(frozen=True)
class Starts:
    """The offsets to begin at.

    Attributes:
        offsets: by partition.
        notes: the metadata to commit with them.
        ends: the offset after the last committed record of each partition.
        how: the rule that chose them, in words.
        is_new: the group has no committed offset in any other partition of the topic.
    """

    offsets: Mapping[Partition, int]
    notes: Mapping[Partition, str]
    ends: Mapping[Partition, int]
    how: str
    is_new: bool

    @property
    def ahead(self) -> int:
        """The number of offsets from the start to the end of all partitions."""
        return sum(max(0, self.ends[at] - offset) for at, offset in self.offsets.items())


def choose_starts(missing: Collection[Partition], start: str, reader: OffsetReader, *, bounded: bool = False) -> Starts:
    """Choose the start of partitions without a committed offset.

    A partition that was added after the group began is read from its beginning, whatever *start* says: its records
    are all newer than the group's start, so none of them may be skipped.

    Args:
        missing: partitions of one topic.
        start: the setting `input.start`.
        bounded: *start* is the beginning of the range of a bounded run, and holds for every partition.

    Raises:
        NoCommittedOffsets: *start* is `committed`, and the group has committed nothing.
        KafkaException: the brokers do not answer.
    """
    topic = next(iter(missing))[0]
    every = {*reader.list_partitions(topic), *missing}
    committed = reader.fetch_committed(every)
    others = [each for at, each in committed.items() if at not in missing and each.offset is not None]
    if start == "committed" and not others:
        raise NoCommittedOffsets(topic)
    newer = set() if bounded else _find_newer(missing, others)
    kept = _keep_committed(missing, committed)
    chosen = _fetch(start, set(missing) - newer, reader) | _fetch("earliest", newer, reader) | kept
    notes = {at: "" if at in newer else f"{START_NOTE}{len(every)}" for at in missing}
    notes |= {at: committed[at].note for at in kept}
    return Starts(chosen, notes, reader.fetch_ends(missing), _explain(start, missing, newer), not others)


def _find_newer(missing: Collection[Partition], others: Collection[Committed]) -> set[Partition]:
    """Return the partitions that were added after the group began, as far as the *others* that have offsets show it."""
    if not others:
        return set()
    counts = [each.note.removeprefix(START_NOTE) for each in others if each.note.startswith(START_NOTE)]
    # Without any note, every other partition has results, or offsets that a person has set.
    began_with = min((int(count) for count in counts if count.isdecimal()), default=0)
    return {at for at in missing if at[1] >= began_with}


def _fetch(start: str, partitions: Collection[Partition], reader: OffsetReader) -> dict[Partition, int]:
    if not partitions:
        return {}
    if start in ("earliest", "committed"):
        return reader.fetch_beginnings(partitions)
    if start == "latest":
        return reader.fetch_ends(partitions)
    return reader.fetch_at(partitions, to_ms(parse_time(start)))


def _explain(start: str, missing: Collection[Partition], newer: Collection[Partition]) -> str:
    if start in ("earliest", "committed"):
        return "earliest"
    if len(newer) == len(missing):
        return "earliest, because the partition is newer than the group"
    return f"{start}; earliest for partitions that are newer than the group" if newer else start


def _keep_committed(missing: Collection[Partition], committed: Mapping[Partition, Committed]) -> dict[Partition, int]:
    """Return offsets that were committed since the client looked: by an earlier try, or by a person."""
    return {at: offset for at in missing if (offset := committed[at].offset) is not None}
