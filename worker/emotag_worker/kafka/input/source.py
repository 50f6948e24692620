"""Read records from the input topic, and keep track of the partitions that this worker owns."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from threading import Event
from typing import Literal

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from emotag_model.daemon_threads import Background
from emotag_worker.errors import IdentityHeld
from emotag_worker.kafka.message import read_record
from emotag_worker.kafka.topics import await_topics
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.record import Partition, Record, first_offsets

from .backfill import Backfill
from .broker_watch import BrokerWatch
from .callbacks import CallbackGuard, ignore_others
from .member import Member
from .positions import STOPPED, Positions
from .progress import ReadProgress
from .readahead import ReadAhead
from .returning import Return
from .unreadable import UNREADABLE, Unreadable

BURST = 256
"""The most records of one call to the client: a call for each record takes longer than all the rest."""

LEAVE_S = 5.0
"""Longest wait for leaving the group: milliseconds if brokers answer. Well below the shutdown timeout."""


class KafkaSource:
    """One member of the consumer group.

    Args:
        deadline_s: longest time without an answer of the brokers.
        positions: continues the partitions that the client stops.
        backfill: the range to read, if the run is bounded.
        unreadable: skips batches that the client cannot read; without it, their partitions stand still.
        broker_assigns: the group uses the newer protocol (KIP-848), whose client does not report an empty assignment.
    """

    def __init__(
        self,
        topic: str,
        *,
        deadline_s: float,
        telemetry: Telemetry,
        positions: Positions,
        backfill: Backfill | None = None,
        unreadable: Unreadable | None = None,
        broker_assigns: bool = False,
    ) -> None:
        self._topic = topic
        self._deadline_s = deadline_s
        self._telemetry = telemetry
        self._positions = positions
        self._backfill = backfill
        self._unreadable = unreadable
        self._progress, self._ahead = ReadProgress(), ReadAhead()
        self._assigned: set[Partition] = set()
        self._broker_assigns = broker_assigns
        self._joined = False
        self._forgotten: dict[Partition, int] = {}
        self._gone: set[Partition] = set()
        self._callbacks = CallbackGuard()
        self._return = Return()
        self._watch = BrokerWatch(topic, deadline_s=deadline_s, telemetry=telemetry)
        self.note_error = self._watch.note_error

    def attach(self, create: Callable[[], Consumer], create_other: Callable[[], Consumer] | None = None) -> None:
        """Create the client, with `note_error` as its callback, not yet subscribed; the other: see `BrokerWatch`."""
        self._create, self._create_other = create, create_other
        self._consumer = create()
        self._outside = self._consumer.consumer_group_metadata()
        self._apart = {self._outside}
        self._watch.attach(self._consumer, create_other)
        self._positions.attach(self._consumer, self._progress)
        if self._backfill is not None:
            self._backfill.attach(self._consumer)

    @property
    def assigned(self) -> int:
        """The number of partitions that this worker owns now."""
        return len(self._assigned)

    @property
    def joined(self) -> bool:
        """The group has assigned partitions to this worker, or none if there are more workers than partitions."""
        return self._joined

    @property
    def proven(self) -> bool:
        """This worker has committed a first batch, or its partitions had no records to read."""
        return self._progress.is_proven(self._assigned.copy())

    @property
    def reachable(self) -> bool:
        """Brokers answered the last request."""
        return self._watch.reachable

    def require_topics(self, topics: Sequence[str], *, stop: Event) -> dict[str, int]:
        """Wait until brokers answer and every topic has leaders; return early once *stop* is set.

        Returns:
            The number of partitions of each topic.

        Raises:
            StopWorker: as for `await_topics`.
        """
        found = await_topics(self._consumer, topics, within_s=self._deadline_s, stop=stop, listen=self._listen)
        return {topic: len(partitions) for topic, partitions in found.items()}

    def subscribe(self, *, before_revoke: Callable[[], None], when_lost: Callable[[], Mapping[Partition, int]]) -> None:
        """Join the group.

        Args:
            before_revoke: finishes and commits what was read, while this worker still owns the partitions.
            when_lost: drops what was read, because other workers may have processed it by now; returns the offsets to
                read again from. This worker reads again only the partitions that it still owns.
        """

        def forget() -> None:
            self._forgotten.update(when_lost())

        def assigned(partitions: list[TopicPartition]) -> None:
            now = {(p.topic, p.partition) for p in partitions}
            self._assigned |= now
            self._joined = True
            self._return.note_success()
            self._progress.forget(now)
            self._positions.note_assigned(now)
            if self._backfill is not None:
                self._backfill.read_again(now)
            if back := now & self._gone:  # else `_drop_gone` could not tell new records from old ones
                self._consumer.pause([TopicPartition(*partition) for partition in back])
            self._telemetry.report_partitions("assigned", len(partitions), self.assigned)

        def revoked(partitions: list[TopicPartition]) -> None:
            if not self._callbacks.run(before_revoke):
                # Drop it now: the same poll may assign the partitions again, after others have read them.
                self._callbacks.run(forget)
            self._give_up("revoked", partitions)

        def lost(partitions: list[TopicPartition]) -> None:
            self._callbacks.run(forget)
            self._give_up("lost", partitions)
            self._joined = False
            self._apart.add(self._consumer.consumer_group_metadata())

        given = {"on_assign": assigned, "on_revoke": revoked, "on_lost": lost}

        # This call runs against the direction of the data: in a rebalance, the client calls the pipeline.
        def subscribe() -> None:
            self._joined = False
            callbacks = {name: ignore_others(lambda: self._consumer, each) for name, each in given.items()}
            self._consumer.subscribe([self._topic], **callbacks)

        self._subscribe = subscribe
        self._subscribe()

    def poll(self, max_records: int, max_bytes: int, *, timeout_s: float) -> list[Record]:
        """Return the records that have arrived, up to *max_records* or *max_bytes*; wait *timeout_s* for the first.

        Partitions that have records take turns. The client's queue is emptied until each partition has its share of
        the batch: a record that has just arrived is behind the backlog of other partitions there.

        Raises:
            StopWorker: the consumer cannot continue.
        """
        self._ahead.plan(max_records, max_bytes, partitions=self.assigned)
        self._resume(self._ahead.resume())
        # One record, because the client waits out the timeout unless it has as many as it is asked for.
        arrived = self._take(1, 0 if self._ahead else timeout_s)
        while arrived and self._ahead.wants_more:
            arrived = self._take(BURST, 0)
        self._stop_if_gone()
        self._settle()
        records = self._ahead.take(max_records, max_bytes)
        self._ahead.pace.note(len(records), left=len(self._ahead), now=time.monotonic())
        return records

    def stay(self) -> None:
        """Poll only to stay in the group while a batch takes long: the group removes members that do not poll.

        A record that arrives is the first of the next `poll`. Partitions may go meanwhile, as `subscribe` describes.

        Raises:
            StopWorker: as for `poll`.
        """
        if not self._callbacks.running:  # in a callback the client is already inside a poll
            self._take(1, 0)

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """Store the committed offsets: `positions` and `find_drained` depend on them."""
        self._progress.note_committed(offsets)

    def find_drained(self) -> dict[Partition, int]:
        """Return the ends of partitions in which only transaction markers follow the last committed record."""
        # A commit for a partition of another worker could undo that worker's own.
        return {partition: at for partition, at in self._progress.find_drained().items() if partition in self._assigned}

    def positions(self) -> dict[Partition, int | None]:
        """Return the group's committed offset of each assigned partition; None if this worker does not know it."""
        return {partition: self._progress.find_committed(partition) for partition in self._assigned.copy()}

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets; ignore partitions that this worker no longer owns.

        Raises:
            StopWorker: a partition cannot be read again without a restart.
        """
        owned = {partition: at for partition, at in offsets.items() if partition in self._assigned}
        self._resume(self._ahead.drop(owned))
        if self._backfill is not None:
            self._backfill.read_again(owned)
        for partition, offset in owned.items():
            self._progress.note_rewound(partition, offset)
            self._positions.rewind(partition, offset)

    def member(self) -> Member:
        """Return this worker's membership of the group: brokers refuse the offsets of a replaced worker (KIP-447)."""
        return Member(self._consumer, outside=self._outside)

    def close(self) -> None:
        """Leave the group. If brokers do not answer in time, they notice when the session times out."""
        leaving = Background("leaving")
        leaving.submit(self._consumer.close)
        leaving.close(LEAVE_S)

    def _take(self, most: int, timeout_s: float) -> bool:
        """Call the client once, and keep what it returns; return False if it has no more."""
        messages = self._consumer.consume(most, timeout_s)
        # One call can both revoke partitions and return records of others, or report once that the client stopped a
        # partition. So first note that, then rewind and raise: the records are among those that are read again. Errors
        # are handled before, because skipping an unreadable batch also moves the client.
        failed = self._keep(self._drop_gone(messages))
        for message, error in failed:
            self._handle(message, error)
        forgotten, self._forgotten = self._forgotten, {}
        self.rewind(forgotten)
        if (failure := self._callbacks.take_failure()) is not None:
            self.rewind(first_offsets(self._ahead))
            raise failure
        return len(messages) == most

    def _drop_gone(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Drop what the client read of a partition before the partition went, in the same call."""
        if not self._gone:
            return messages
        gone, self._gone = self._gone, set()
        self._resume(gone & self._assigned)
        return [each for each in messages if (each.topic(), each.partition()) not in gone]

    def _keep(self, messages: Sequence[Message]) -> list[tuple[Message, KafkaError]]:
        """Keep the records, and note what else the client reports; return the errors that remain."""
        records = [read_record(message) for message in messages if message.error() is None]
        for _, run in groupby(records, attrgetter("partition")):
            self._add(list(run))
        others = messages if len(records) < len(messages) else ()
        return [(message, error) for message in others if (error := self._note(message)) is not None]

    def _add(self, records: Sequence[Record]) -> None:
        """Append records of one partition to its queue."""
        partition, backfill = (records[0].topic, records[0].partition), self._backfill
        self._watch.note_answer()
        if self._positions.is_stopped(partition):  # it is read again from another offset
            return
        if backfill is not None:
            records = [record for record in records if backfill.accept(partition, record.offset)]
        if not records:
            return
        self._progress.note_record(partition, records[-1].offset)
        if self._ahead.add(partition, records):
            self._consumer.pause([TopicPartition(*partition)])

    def _note(self, message: Message) -> KafkaError | None:
        """Note the end of a partition, or that the client stopped one; return any other error."""
        partition, offset = (message.topic() or "", message.partition() or 0), message.offset()
        error = message.error()
        if error is None:
            return None
        if error.code() == KafkaError._PARTITION_EOF:
            if not self._positions.is_stopped(partition):
                self._progress.note_end(partition, offset or 0)
                if self._backfill is not None:
                    self._backfill.note_position(partition, offset or 0)
        elif error.code() not in STOPPED:
            return error
        elif partition in self._assigned:
            self._positions.note_stopped(partition, offset, error)
        return None

    def _resume(self, partitions: Iterable[Partition]) -> None:
        ended = frozenset[Partition]() if self._backfill is None else self._backfill.paused
        if resumed := [TopicPartition(*partition) for partition in partitions if partition not in ended]:
            self._consumer.resume(resumed)

    def _give_up(self, how: Literal["revoked", "lost"], partitions: list[TopicPartition]) -> None:
        gone = {(p.topic, p.partition) for p in partitions}
        self._assigned -= gone
        self._gone |= gone
        self._forgotten = {partition: at for partition, at in self._forgotten.items() if partition in self._assigned}
        self._progress.forget(gone)
        self._positions.note_gone(gone)
        # The client would keep a pause until this worker owns the partition again.
        self._resume(self._ahead.drop(gone))
        self._telemetry.report_partitions(how, len(partitions), self.assigned)

    def _settle(self) -> None:
        if self._broker_assigns and not self._joined:  # the client does not report an empty assignment
            self._joined = self._consumer.consumer_group_metadata() not in self._apart
            if self._joined:
                self._return.note_success()
        self._progress.note_begin(self._positions.settle())
        if self._backfill is not None:
            self._backfill.settle(self._progress.is_committed)

    def _handle(self, message: Message, error: KafkaError) -> None:
        """Handle an error that a poll returned instead of a record, and log it: no worker idles in silence."""
        self.note_error(error)
        if error.code() in UNREADABLE and self._unreadable is not None:
            partition = (message.topic() or "", message.partition() or 0)
            self._unreadable.skip(self._consumer, partition, message.offset() or 0, self._progress)
        else:
            self._watch.stop_if_lasting(error)

    def _stop_if_gone(self) -> None:
        """Raise if brokers are gone or refuse this client, unless the group only waits for this worker's last run."""
        try:
            self._watch.stop_if_gone()
        except IdentityHeld:
            if not self._return.await_next_try():
                raise
            self._replace_client()

    def _replace_client(self) -> None:
        """Join the group with a new client: the old one never tries again."""
        self.close()
        self.attach(self._create, self._create_other)
        self._subscribe()

    def _listen(self) -> None:
        self._consumer.poll(0)  # runs the client's callbacks
        self._watch.stop_if_ended()
