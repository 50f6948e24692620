"""A bounded run: read the records of a range of time, then end. For `emotag run --from TIME --until TIME`."""

import time
from collections.abc import Callable, Collection, Set
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from emotag_worker.kafka.broker_errors import stop_if_denied
from emotag_worker.kafka.offsets import OffsetReader, commit_offsets
from emotag_worker.settings.times import to_ms
from emotag_worker.wire.record import Partition

CHECK_S = 0.5
"""Pause between two questions whether other workers have finished, and between two tries to commit an end."""


class Backfill:
    """The end of a bounded run in each partition, and how far the group has come.

    The end is the offset of the first record of the time *until* or later; without one, the end of the partition as it
    is now. It is found once: records that arrive later are not part of the range.

    Args:
        until: the time at which the range ends; records of this time or later are not part of it.
    """

    def __init__(self, reader: OffsetReader, topic: str, until: datetime) -> None:
        self._reader = reader
        self._topic = topic
        self._until_ms = to_ms(until)
        self._ends: dict[Partition, int] = {}
        self._reached: set[Partition] = set()
        self._closed: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._next_try = self._next_check = 0.0

    @property
    def paused(self) -> Set[Partition]:
        """The partitions that were read to the end of the range."""
        return self._paused

    def attach(self, consumer: Consumer) -> None:
        """Set the client that reads."""
        self._consumer = consumer

    def find_ends(self) -> None:
        """Find the end of the range in every partition.

        Raises:
            KafkaException: the brokers do not answer.
        """
        self._ends = self._reader.fetch_at(self._reader.list_partitions(self._topic), self._until_ms)

    def accept(self, partition: Partition, offset: int) -> bool:
        """Return True if a record belongs to the range; stop reading the partition if it does not."""
        if offset < self._ends.get(partition, 0):
            return True
        self.note_position(partition, offset)
        return False

    def note_position(self, partition: Partition, offset: int) -> None:
        """The client has read up to *offset*. At the end of the range, it stops reading the partition."""
        if offset >= self._ends.get(partition, 0) and partition not in self._reached:
            self._reached.add(partition)
            self._paused.add(partition)
            self._consumer.pause([TopicPartition(*partition)])

    def read_again(self, partitions: Collection[Partition]) -> None:
        """Forget that these partitions have reached the end of the range, and continue those that were paused."""
        self._reached -= set(partitions)
        self._closed -= set(partitions)
        if again := self._paused & set(partitions):
            self._consumer.resume([TopicPartition(*partition) for partition in again])
            self._paused -= again

    def settle(self, is_committed: Callable[[Partition], bool]) -> None:
        """Commit the end of partitions whose results are all committed.

        Args:
            is_committed: every record of the partition that the client has returned is committed.

        Raises:
            Denied: the brokers refuse this client.
        """
        due = {partition for partition in self._reached - self._closed if is_committed(partition)}
        if not due or time.monotonic() < self._next_try:
            return
        try:
            self._commit_ends(due)
        except KafkaException as error:  # during a rebalance, for example: this worker tries again, or the next owner
            stop_if_denied(error.args[0])
            self._next_try = time.monotonic() + CHECK_S
        else:
            self._closed |= due

    def _commit_ends(self, partitions: Collection[Partition]) -> None:
        # Offsets without records, such as the ends of transactions, may lie between the last record and the end. A
        # worker that found a later end may have committed more.
        committed = self._reader.fetch_committed(partitions)
        ends = {at: self._ends.get(at, 0) for at in partitions}
        if behind := [TopicPartition(*at, end) for at, end in ends.items() if (committed[at].offset or 0) < end]:
            commit_offsets(self._consumer, behind)

    def is_done(self, assigned: Collection[Partition]) -> bool:
        """Return True if the group has committed the end of every partition, also of those of other workers.

        Args:
            assigned: the partitions of this worker. While it has work, the brokers are not asked.

        Raises:
            Denied: the brokers refuse this client.
        """
        now = time.monotonic()
        if not self._closed.issuperset(assigned) or now < self._next_check:
            return False
        self._next_check = now + CHECK_S
        try:
            committed = self._reader.fetch_committed(self._ends)
        except KafkaException as error:  # asked again later
            stop_if_denied(error.args[0])
            return False
        return all((committed[at].offset or 0) >= end for at, end in self._ends.items())
