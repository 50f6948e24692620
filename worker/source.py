"""Records from the input topic, and the partitions this worker may speak for."""

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any, cast

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from model.background import Background

from .broker_errors import ABSENT, GROUP_REFUSED, denial, fatal, stop_if_denied
from .errors import BrokerUnavailable, GroupRefused, OffsetGone, StopWorker, TopicMissing
from .offsets import Partition, first_offsets
from .record import Headers, Record
from .telemetry import Telemetry

PROBE_S = 1.0
"""How often and for how long brokers that are gone are asked whether they are back."""

LEAVE_S = 5.0
"""Longest wait for leaving the group: milliseconds where brokers answer. Well below the drain budget."""

ERRORS_S = 10.0
"""How often the same kind of error is logged: brokers that are gone give dozens a second."""


class Source:
    """One member of the consumer group.

    Args:
        topic: the input.
        deadline_s: how long the brokers may be gone.
        stop_at_gap: where records were deleted before they were read, stop instead of going on behind them.
        broker_assigns: the group has the newer protocol (KIP-848), whose client says nothing of an empty assignment.
    """

    def __init__(
        self,
        topic: str,
        *,
        deadline_s: float,
        telemetry: Telemetry,
        stop_at_gap: bool = False,
        broker_assigns: bool = False,
    ) -> None:
        self._topic = topic
        self._deadline_s = deadline_s
        self._telemetry = telemetry
        self._stop_at_gap = stop_at_gap
        self._committed: dict[Partition, int] = {}
        self._gathered: list[Record] = []
        self._assigned: set[Partition] = set()
        self._broker_assigns = broker_assigns
        self._joined = broker_assigns
        self._forgotten: dict[Partition, int] = {}
        self._failure: BaseException | None = None
        self._in_callback = False
        self._ended: StopWorker | None = None
        self._trouble = ""
        self._errors_told: dict[str, float] = {}
        self._down_since: float | None = None
        self._next_probe = 0.0

    def attach(self, consumer: Consumer) -> None:
        """Give it its client, made with `note_error` and `note_gap` as its callbacks and not yet subscribed."""
        self._consumer = consumer

    @property
    def assigned(self) -> int:
        """How many partitions this worker reads now."""
        return len(self._assigned)

    @property
    def joined(self) -> bool:
        """Whether the group has said what this worker reads, be it nothing, as beyond as many workers as partitions.

        Where the broker assigns, True from the beginning: there is no telling.
        """
        return self._joined

    @property
    def reachable(self) -> bool:
        """Whether brokers answered when last heard of."""
        return self._down_since is None

    def require_topics(self, topics: Sequence[str], *, stop: Event) -> None:
        """Wait for the brokers, then see that every topic exists; returns early once *stop* is set.

        Raises:
            TopicMissing: one does not.
            BrokerUnavailable: no broker answered within the deadline.
            StopWorker: the brokers refuse this client.
        """
        give_up_at = time.monotonic() + self._deadline_s
        missing = []
        for topic in topics:
            error = self._look_for(topic)
            while error is not None and error.code() not in ABSENT and not stop.is_set():
                self._consumer.poll(0)  # so that its log lines and errors come out
                self._stop_if_ended()
                stop_if_denied(error, of=topic)
                if time.monotonic() > give_up_at:
                    raise BrokerUnavailable("looking for topics", self._deadline_s, self._trouble or error.str())
                stop.wait(0.1)  # a new topic has no leader for a moment, and says so at once
                error = self._look_for(topic)
            if stop.is_set():
                return
            if error is not None:
                missing.append(topic)
        if missing:
            raise TopicMissing(missing)

    def subscribe(self, *, before_revoke: Callable[[], None], when_lost: Callable[[], Mapping[Partition, int]]) -> None:
        """Join the group.

        Args:
            before_revoke: finishes and commits what was read, while that is still ours to do.
            when_lost: forgets what was read, since others may have done it by now, and says from where on; what was not
                lost with the rest is read again.
        """

        def assigned(_: Consumer, partitions: list[TopicPartition]) -> None:
            now = {(p.topic, p.partition) for p in partitions}
            self._assigned |= now
            self._joined = True
            self._forget_positions(now)
            self._telemetry.partitions_changed("assigned", len(partitions), self.assigned)

        def revoked(_: Consumer, partitions: list[TopicPartition]) -> None:
            self._guarded(before_revoke)
            self._give_up("revoked", partitions)

        def lost(_: Consumer, partitions: list[TopicPartition]) -> None:
            self._guarded(lambda: self._forgotten.update(when_lost()))
            self._give_up("lost", partitions)
            self._joined = self._broker_assigns

        self._consumer.subscribe([self._topic], on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def poll(self, max_records: int, max_bytes: int, *, timeout_s: float) -> list[Record]:
        """What is there, until *max_records* or *max_bytes* of values are; waits up to *timeout_s* for the first.

        One call per record rather than `consume(n)`: that waits out its whole time-out for a full batch, and a
        rebalance inside it would leave records of partitions in the batch that are no longer ours.

        Raises:
            StopWorker: the consumer cannot go on.
        """
        gathered_bytes = sum(len(record.value or b"") for record in self._gathered)
        while len(self._gathered) < max_records and gathered_bytes < max_bytes:
            size = self._take(0 if self._gathered else timeout_s)
            if size is None:
                break
            gathered_bytes += size
        self._stop_if_gone()
        # Another list each time: what was handed out is no longer ours to filter.
        gathered, self._gathered = self._gathered, []
        return gathered

    def stay(self) -> None:
        """Poll for the group's sake alone, while a step takes long: a member that does not poll is thrown out.

        A record that comes is the first of the next `poll`. Partitions may go meanwhile, as `subscribe` says.

        Raises:
            StopWorker: as for `poll`.
        """
        if not self._in_callback:  # where the client is in the middle of a poll already
            self._take(0)

    def note_error(self, error: KafkaError) -> None:
        """For the clients' own error callback."""
        now = time.monotonic()
        if (last := self._errors_told.get(error.name())) is None or now - last > ERRORS_S:
            self._telemetry.broker_error(error.name())
            self._errors_told[error.name()] = now
        self._ended = self._ended or denial(error)
        if error.code() == KafkaError._FATAL:  # what the client will say of every call from now on, and of no poll
            self._ended = self._ended or fatal("taking part in the group", error)
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error.str()  # why they are gone, which no call that waits for them says
        elif self._down_since is None:
            self._down_since = now

    def note_gap(self, why: str) -> None:
        """The next record to read is gone, and the client goes on where auto.offset.reset says."""
        self._telemetry.offset_gone(why)
        if self._stop_at_gap:
            self._failure = OffsetGone(why)

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """These are committed: the lag is counted from them."""
        self._committed |= offsets

    def positions(self) -> dict[Partition, int | None]:
        """What this worker reads now, and the next offset of each that it committed; None where it did not yet."""
        return {partition: self._committed.get(partition) for partition in self._assigned.copy()}

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets; partitions that are no longer ours are someone else's business.

        Raises:
            StopWorker: a partition cannot be read again; a restart can.
        """
        self._gathered = [r for r in self._gathered if (r.topic, r.partition) not in offsets]
        for (topic, partition), offset in offsets.items():
            if (topic, partition) in self._assigned:
                try:
                    self._consumer.seek(TopicPartition(topic, partition, offset))
                except KafkaException as error:
                    raise StopWorker(f"cannot go back in {topic}-{partition}: {error.args[0].str()}") from error

    def group_metadata(self) -> Any:
        """Who this member is now: lets the broker refuse the offsets of one who was replaced (KIP-447)."""
        return self._consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit outside of a transaction, and wait for it.

        Raises:
            KafkaException: the broker refuses.
        """
        positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        for committed in self._consumer.commit(offsets=positions, asynchronous=False) or ():
            if committed.error is not None:
                raise KafkaException(committed.error)

    def close(self) -> None:
        """Leave the group. Brokers that do not answer in time find out by themselves, when the session ends."""
        leaving = Background("leaving")
        leaving.submit(self._consumer.close)
        leaving.close(LEAVE_S)

    def _take(self, timeout_s: float) -> int | None:
        """One record more, if there is one: the size of its value; None where nothing came."""
        message = self._consumer.poll(timeout_s)
        error = None if message is None else message.error()
        size = 0
        if message is not None and error is None:
            record = _record(message)
            self._gathered.append(record)
            size = len(record.value or b"")
            self._down_since = None
        # One call can both revoke partitions and return a record of another: what is read again, and the failure of a
        # revoke, come second, so that the record is among what is read again.
        if self._forgotten:
            forgotten, self._forgotten = self._forgotten, {}
            self.rewind(forgotten)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self.rewind(first_offsets(self._gathered))
            raise failure
        if error is not None:
            self._note(error)
        return None if message is None else size

    def _guarded(self, call: Callable[[], None]) -> None:
        """An exception must not travel through librdkafka: it is kept, and raised by the poll it interrupted."""
        self._in_callback = True
        try:
            call()
        except BaseException as error:  # noqa: BLE001
            self._failure = error
        finally:
            self._in_callback = False

    def _give_up(self, how: str, partitions: list[TopicPartition]) -> None:
        gone = {(p.topic, p.partition) for p in partitions}
        self._assigned -= gone
        self._forgotten = {partition: at for partition, at in self._forgotten.items() if partition in self._assigned}
        self._forget_positions(gone)
        # In place: poll is filling this very list.
        self._gathered[:] = [r for r in self._gathered if (r.topic, r.partition) not in gone]
        self._telemetry.partitions_changed(how, len(partitions), self.assigned)

    def _forget_positions(self, partitions: set[Partition]) -> None:
        """Another worker commits there, or did."""
        for partition in partitions:
            self._committed.pop(partition, None)

    def _look_for(self, topic: str) -> KafkaError | None:
        """What stands between this worker and a topic, if anything."""
        try:
            found: KafkaError | None = self._consumer.list_topics(topic, timeout=PROBE_S).topics[topic].error
        except KafkaException as error:
            found = error.args[0]
        return found

    def _note(self, error: KafkaError) -> None:
        """What the consumer says instead of a record. Whatever it is, it is logged: a worker never idles in silence."""
        self.note_error(error)
        stop_if_denied(error)
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicMissing([self._topic])
        if error.code() in GROUP_REFUSED:
            raise GroupRefused(error.str())
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetGone(error.str())
        if error.fatal():
            raise fatal("reading", error)

    def _stop_if_ended(self) -> None:
        """Raise what the clients' error callback heard: no call says it."""
        if self._ended is not None:
            raise self._ended

    def _stop_if_gone(self) -> None:
        """While brokers are gone: ask now and then whether they are back, and give up at the deadline."""
        self._stop_if_ended()
        now = time.monotonic()
        if self._down_since is None or now < self._next_probe:
            return
        try:
            self._consumer.list_topics(self._topic, timeout=PROBE_S)
        except KafkaException as error:
            self._next_probe = time.monotonic() + PROBE_S
            if now - self._down_since > self._deadline_s:
                raise BrokerUnavailable("reading", self._deadline_s, self._trouble or error.args[0].str()) from error
        else:
            self._telemetry.brokers_back(now - self._down_since)
            self._down_since = None


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, timestamp_ms = message.timestamp()
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
    )


def _headers(message: Message) -> Headers | None:
    """The record's headers; None where the client cannot read them."""
    try:
        return cast("Headers", message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # a name that is no UTF-8, which Kafka lets through
        return None
