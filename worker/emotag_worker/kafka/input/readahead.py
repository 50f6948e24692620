"""Records that were read, and belong to no batch yet: one queue for each partition.

librdkafka has one queue for all partitions. In it, a record that has just arrived waits behind the whole backlog of
another partition. So the source empties that queue into these, and each batch takes turns among the partitions. A
partition that holds more than its part is paused until half of its records are processed: the client then drops what
it has fetched of this partition, and fetches it again later.

Pure: no clock, no client.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, islice

from emotag_worker.wire.record import Partition, Record, size_of

TURN = 16
"""The most records that a batch takes from one partition before it takes records from the next one."""

AHEAD_S = 4.0
"""A partition is paused only if the records cover this time. It is resumed at half of it: after that, the client
needs up to a second for its next request, if it has no other partition at the same broker."""

LEAST_AHEAD_S = 3.0
"""If the memory is full with records of less time, no partition is paused: its records would run out before the client
has fetched the next ones. Reading ends until a batch has taken some. The client's queue is short for such a stream."""

LEAST_BYTES = 4 * 1_048_576
"""A partition with fewer bytes is not paused, unless memory is short: after a pause the client fetches again what it
had fetched, at least one batch of the producer. Those of librdkafka have up to 1 MB."""

LEAST_ARRIVALS = 4096
"""Before any batch, this many records may be read, which takes some 20 ms."""

ARRIVALS = 2
"""Before a large batch, this many times its records may be read: more at once would keep the device waiting."""

BATCHES = 4
"""All queues together hold less than this many times the bytes of the largest batch. A partition is not paused below
this many times the records of a batch."""

LARGE_BYTES = 16 * 1024
"""The client counts only values toward the limit of its own queue. So it could hold thousands of records with large
headers: if records are larger than this on average, their partition is paused as soon as memory is short."""

RECORD_BYTES = 300
"""The memory of a record besides its content."""

PACE_S = 0.5
"""The time over which the rate is measured."""

SLOWEST = 0.5
"""A measurement lowers the rate by no more than this factor: a busy machine may stop the worker for a moment."""

FIRST_RECORDS_PER_S = 10_000.0
"""The rate until it is measured. A partition that is paused too early would hold up a fast worker."""


class Pace:
    """The rate at which batches take records, measured while there are more records than a batch takes."""

    def __init__(self) -> None:
        self.records_per_s = FIRST_RECORDS_PER_S
        self._taken = 0
        self._since: float | None = None

    def note(self, taken: int, *, left: int, now: float) -> None:
        """A batch took *taken* records at *now*, in seconds of a monotonic clock, and left *left* records."""
        if self._since is not None and now - self._since < PACE_S and left:
            self._taken += taken
            return
        if self._since is not None and now - self._since >= PACE_S:
            measured = self._taken / (now - self._since)
            self.records_per_s = max(measured, SLOWEST * self.records_per_s)
        self._taken, self._since = taken, now if left else None


class _Queue:
    """The records of one partition, in their order.

    Attributes:
        sizes: the bytes of each record. Not in tuples with the records: Python's garbage collector would visit these.
        bytes: their sum, and `RECORD_BYTES` for each record.
        lacks: the partition has less than its share of the next batch.
    """

    __slots__ = ("bytes", "lacks", "records", "sizes")

    def __init__(self) -> None:
        self.records: deque[Record] = deque()
        self.sizes: deque[int] = deque()
        self.bytes = 0
        self.lacks = True


class ReadAhead:
    """The queues of all partitions."""

    def __init__(self) -> None:
        self.pace = Pace()
        self._queues: dict[Partition, _Queue] = {}
        self._paused: dict[Partition, int] = {}
        self._records = self._bytes = 0
        self._lacking = self._enough = 0
        self._share = self._share_bytes = 0
        self._most_records, self._most_bytes = 0.0, 0
        self._has_room = True

    def __len__(self) -> int:
        """Return the number of records in all queues."""
        return self._records

    def __iter__(self) -> Iterator[Record]:
        """Return every record, in the order of its partition."""
        return (record for queue in self._queues.values() for record in queue.records)

    @property
    def wants_more(self) -> bool:
        """A partition has less than its share of the batch that `plan` announced, and there is time and memory."""
        return self._lacking > 0 and self._records < self._enough and self._has_room

    def plan(self, max_records: int, max_bytes: int, *, partitions: int) -> None:
        """Announce the limits of the next batch, and the number of partitions that may contribute to it."""
        parts = max(1, partitions)
        self._share, self._share_bytes = -(-max_records // parts), -(-max_bytes // parts)
        self._most_records = max(BATCHES * max_records, AHEAD_S * self.pace.records_per_s)
        self._most_bytes = BATCHES * max_bytes
        self._enough = self._records + max(ARRIVALS * max_records, LEAST_ARRIVALS)
        self._lacking = parts
        self._has_room = not any(
            self._fills_memory(queue) for partition, queue in self._queues.items() if partition not in self._paused
        )
        for queue in self._queues.values():
            queue.lacks = len(queue.records) < self._share and queue.bytes < self._share_bytes
            self._lacking -= not queue.lacks

    def add(self, partition: Partition, records: Sequence[Record]) -> bool:
        """Append *records* to the queue of their partition; return True if the partition must be paused now."""
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = _Queue()
        sizes = list(map(size_of, records))
        queue.records += records
        queue.sizes += sizes
        self._count_in(queue, len(records), sum(sizes))
        if queue.lacks and (len(queue.records) >= self._share or queue.bytes >= self._share_bytes):
            queue.lacks = False
            self._lacking -= 1
        if partition in self._paused:
            return False
        fills_memory = self._fills_memory(queue)
        lasts = self._records >= LEAST_AHEAD_S * self.pace.records_per_s
        are_large = self._bytes >= LARGE_BYTES * self._records
        if self._covers_its_time(queue) or (fills_memory and (lasts or are_large)):
            self._paused[partition] = len(queue.records)
            return True
        self._has_room = self._has_room and not fills_memory
        return False

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """Remove and return the records of a batch, in turns among the partitions, up to the limits."""
        taken: list[Record] = []
        left_bytes = max_bytes
        turn = max(1, min(TURN, max_records // max(1, len(self._queues))))
        while self._queues and len(taken) < max_records and left_bytes > 0:
            partition = next(iter(self._queues))
            queue = self._queues.pop(partition)
            left_bytes -= self._take_turn(queue, taken, min(turn, max_records - len(taken)), left_bytes)
            if queue.records:
                self._queues[partition] = queue  # at the end: the next turn is another partition's
        return taken

    def resume(self) -> list[Partition]:
        """Return the paused partitions that have processed half of their records: they are not paused any more."""
        ready = [partition for partition, most in self._paused.items() if 2 * self._count(partition) <= most]
        for partition in ready:
            del self._paused[partition]
        return ready

    def drop(self, partitions: Collection[Partition]) -> list[Partition]:
        """Remove the records of *partitions*; return those that were paused: they are not paused any more."""
        for partition in partitions:
            if (queue := self._queues.pop(partition, None)) is not None:
                self._records -= len(queue.records)
                self._bytes -= queue.bytes
        return [partition for partition in partitions if self._paused.pop(partition, None) is not None]

    def _take_turn(self, queue: _Queue, taken: list[Record], count: int, max_bytes: int) -> int:
        """Move up to *count* records, or *max_bytes*, to *taken*; return their bytes."""
        # The last record may exceed the limit: so one that is larger than a batch is taken, too.
        sums = list(accumulate(islice(queue.sizes, count)))
        moved = min(len(sums), bisect_left(sums, max_bytes) + 1)
        taken += [queue.records.popleft() for _ in range(moved)]
        for _ in range(moved):
            queue.sizes.popleft()
        self._count_in(queue, -moved, -sums[moved - 1])
        return sums[moved - 1]

    def _count_in(self, queue: _Queue, records: int, content: int) -> None:
        change = content + records * RECORD_BYTES
        queue.bytes += change
        self._bytes += change
        self._records += records

    def _fills_memory(self, queue: _Queue) -> bool:
        # A queue may be as large as the memory that is left ("dynamic thresholds", Choudhury and Hahne, 1998): so n
        # long queues leave an n+1st part to a partition whose records arrive now.
        return queue.bytes >= self._most_bytes - self._bytes

    def _covers_its_time(self, queue: _Queue) -> bool:
        return queue.bytes >= LEAST_BYTES and self._records >= self._most_records and not queue.lacks

    def _count(self, partition: Partition) -> int:
        queue = self._queues.get(partition)
        return 0 if queue is None else len(queue.records)
