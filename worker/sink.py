"""Results and dead letters to their topics, and with them the offsets they stand for.

Both sinks promise the same: when `write` returns, all of a step is there and committed; when it raises, the offsets
are not committed. The transactional one promises besides that nobody who reads committed records saw any of it.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from .errors import BrokerUnavailable, DeliveryRefused, Fenced, FlushIncomplete, StepAborted, StopWorker
from .offsets import Partition
from .record import Outgoing

SLICE_S = 5.0
"""Longest single wait inside librdkafka; well below every deadline, so that each is kept to the second."""

OVERDUE_S = 1.0
"""How far past its own time-out, and past the deadline, a call is waited for before it counts as hung."""

REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    }
)
"""What a broker says of a record that it will not take the next time either."""

REPLACED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
    }
)
"""The group went on without this member: the next poll says what is still ours."""


class Group(Protocol):
    """What a sink asks of the source."""

    def group_metadata(self) -> Any: ...
    def commit(self, offsets: Mapping[Partition, int]) -> None: ...


class Sink(Protocol):
    """What the pipeline asks of a sink."""

    def open(self) -> None:
        """Get ready: fence what an earlier life of this worker left open."""

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group) -> None:
        """Write and commit one step.

        Raises:
            StepAborted: nothing of it counts; read its records again.
            StopWorker: this worker cannot go on.
        """


class DeliveryFailures:
    """The first record the broker did not take; the producer's delivery callback."""

    def __init__(self) -> None:
        self.first: tuple[str, KafkaError] | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self.first is None:
            self.first = (message.topic() or "?", error)

    def stop_if_refused(self) -> None:
        """Raise DeliveryRefused if the broker will never take that record."""
        if self.first is not None and self.first[1].code() in REFUSALS:
            raise DeliveryRefused(self.first[0], self.first[1].str())


class TransactionalSink:
    """Exactly once: results, dead letters and offsets are one transaction (KIP-447).

    Args:
        producer: with a transactional id, made with *failures* as its delivery callback.
        deadline_s: how long the brokers may be gone.
    """

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline_s = deadline_s

    def open(self) -> None:
        try:
            self._persist("starting transactions", self._producer.init_transactions, self._give_up_at())
        except StepAborted as error:
            raise StopWorker(f"transactions cannot be started: {error}") from error

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group) -> None:
        positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self._failures.first = None
        give_up_at = self._give_up_at()
        try:
            self._persist("beginning a transaction", lambda _: self._producer.begin_transaction(), give_up_at)
            for record in records:
                _produce(self._producer, record, give_up_at)
            metadata = group.group_metadata()
            self._persist(
                "adding offsets to the transaction",
                lambda timeout_s: self._producer.send_offsets_to_transaction(positions, metadata, timeout_s),
                give_up_at,
            )
            # Flushes first; fails if any record did.
            self._persist("committing a transaction", self._producer.commit_transaction, give_up_at)
        except (StepAborted, DeliveryRefused):
            self._persist("aborting a transaction", self._producer.abort_transaction, self._give_up_at())
            self._failures.stop_if_refused()
            raise

    def _give_up_at(self) -> float:
        return time.monotonic() + self._deadline_s

    def _persist(self, doing: str, call: Callable[[float], Any], give_up_at: float) -> None:
        """Call until it succeeds; what librdkafka says of the error decides what a failure means.

        In a thread, because not every call keeps its time-out: `send_offsets_to_transaction` waits for ever for a group
        coordinator that is gone (librdkafka issue 5456, open as of 2.16).
        """
        while True:
            patience_s = max(SLICE_S, give_up_at - time.monotonic()) + OVERDUE_S
            try:
                _in_thread(call, SLICE_S).result(patience_s)
            except TimeoutError as hung:
                raise BrokerUnavailable(doing, self._deadline_s, "the client does not return") from hung
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.fatal():
                    raise Fenced(error.str()) from raised
                if error.txn_requires_abort():
                    raise StepAborted(error.str()) from raised
                if not error.retriable() and error.code() != KafkaError._TIMED_OUT:
                    raise StopWorker(f"{doing} failed: {error.str()}") from raised
                if time.monotonic() > give_up_at:
                    raise BrokerUnavailable(doing, self._deadline_s, error.str()) from raised
                self._producer.poll(0.1)  # where it failed at once
            else:
                return


class AtLeastOnceSink:
    """Records first, acknowledged by all replicas, then the offsets. After a crash some results come twice."""

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline_s = deadline_s

    def open(self) -> None:
        pass

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group) -> None:
        self._failures.first = None
        give_up_at = time.monotonic() + self._deadline_s
        for record in records:
            _produce(self._producer, record, give_up_at)
        outstanding = self._producer.flush(max(0.0, give_up_at - time.monotonic()))
        self._failures.stop_if_refused()
        if self._failures.first is not None:
            raise StepAborted(self._failures.first[1].str())
        if outstanding:
            raise FlushIncomplete(outstanding)
        self._commit(offsets, group, give_up_at)

    def _commit(self, offsets: Mapping[Partition, int], group: Group, give_up_at: float) -> None:
        while True:
            try:
                group.commit(offsets)
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.fatal():
                    raise Fenced(error.str()) from raised
                if error.code() in REPLACED:
                    raise StepAborted(error.str()) from raised
                if time.monotonic() > give_up_at:
                    raise BrokerUnavailable("committing offsets", self._deadline_s, error.str()) from raised
                self._producer.poll(0.1)
            else:
                return


def _in_thread(call: Callable[[float], Any], timeout_s: float) -> Future[Any]:
    """What *call* returns or raises. The thread is a daemon: one that hangs must not hold up the end of the process."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(call(timeout_s))
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            answer.set_exception(error)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    return answer


def _produce(producer: Producer, record: Outgoing, give_up_at: float) -> None:
    """Hand one record over, waiting for room in the client's queue."""
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                # 0 means "now" to the client: a record from the first millisecond of 1970 is not worth a special case.
                timestamp=record.timestamp_ms or 0,
            )
        except BufferError as error:
            if time.monotonic() > give_up_at:
                raise FlushIncomplete(len(producer)) from error
            producer.poll(0.1)
        except KafkaException as raised:
            error_ = raised.args[0]
            if error_.code() in REFUSALS:
                raise DeliveryRefused(record.topic, error_.str()) from raised
            if error_.fatal():
                raise Fenced(error_.str()) from raised
            raise StepAborted(error_.str()) from raised
        else:
            return
