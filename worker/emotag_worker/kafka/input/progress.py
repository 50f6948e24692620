"""How far each assigned partition was read and committed, and which partitions have nothing left to read.

Markers at the end of transactions, and the records of aborted transactions, take offsets that no consumer sees. If a
partition ends with them, the offset after the last record is not the end of the partition. So the client reports each
end that it reaches, and the worker commits it once every record before it is committed.
"""

from collections.abc import Mapping

from emotag_worker.wire.record import Partition


class ReadProgress:
    """The progress in each partition, from its assignment until it goes to another worker."""

    def __init__(self) -> None:
        self._read: dict[Partition, int] = {}
        self._resumed: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._empty: set[Partition] = set()
        self._committed: dict[Partition, int] = {}
        self._has_answered = False

    def note_record(self, partition: Partition, offset: int) -> None:
        """The client returned a record."""
        self._read[partition] = offset + 1
        self._ends.pop(partition, None)
        if self._resumed:
            self._resumed.pop(partition, None)

    def note_end(self, partition: Partition, offset: int) -> None:
        """The client has returned every record before *offset*, which was the end of the partition."""
        if partition not in self._read:
            self._empty.add(partition)
        if self._read.get(partition, -1) <= offset:  # no record came after it
            self._ends[partition] = offset

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """The group's next reader begins at *offsets*."""
        self._committed |= offsets
        self._has_answered = self._has_answered or any(partition in self._read for partition in offsets)

    def note_begin(self, offsets: Mapping[Partition, int]) -> None:
        """The group has committed *offsets* of partitions that this worker has only now begun to read."""
        self._committed = {**offsets, **self._committed}

    def note_rewound(self, partition: Partition, offset: int) -> None:
        """Records will be returned again from *offset*. Those before it may still be on their way to a commit."""
        self._read[partition] = offset
        self._ends.pop(partition, None)
        self._resumed.pop(partition, None)

    def note_resumed(self, offsets: Mapping[Partition, int]) -> None:
        """The client continues at *offsets*, without the records before them, which do not exist any more."""
        self._resumed |= offsets

    def forget(self, partitions: set[Partition]) -> None:
        """Forget partitions where another worker commits, or committed meanwhile."""
        for partition in partitions:
            for known in (self._read, self._resumed, self._ends, self._committed):
                known.pop(partition, None)
        self._empty -= partitions

    def find_committed(self, partition: Partition) -> int | None:
        """Return the offset that the group has committed; None if this worker does not know it."""
        return self._committed.get(partition)

    def find_next(self, partition: Partition) -> int | None:
        """Return the offset that the client reads next; None if it begins at the committed one."""
        return self._resumed.get(partition, self._read.get(partition))

    def is_committed(self, partition: Partition) -> bool:
        """Return True if every record that the client returned is committed."""
        return self._read.get(partition, -1) <= self._committed.get(partition, -1)

    def find_drained(self) -> dict[Partition, int]:
        """Return the ends to commit: of partitions whose records are all committed, but not the markers after them."""
        return {partition: end for partition, end in self._ends.items() if self._is_drained(partition, end)}

    def is_proven(self, assigned: set[Partition]) -> bool:
        """Return True if this worker has committed records that it read, or had none to read in *assigned*."""
        return self._has_answered or assigned <= self._empty.copy()

    def _is_drained(self, partition: Partition, end: int) -> bool:
        return self.is_committed(partition) and self._committed.get(partition, -1) < end
