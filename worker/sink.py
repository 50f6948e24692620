"""Results and dead letters to their topics, and with them the offsets they stand for.

Both sinks promise the same: when `write` returns, all of a step is there and committed; when it raises, the offsets
are not committed. The transactional one promises besides that nobody who reads committed records saw any of it.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from model.background import Background

from .broker_errors import REFUSALS, REPLACED, fatal, stop_if_denied
from .errors import BrokerUnavailable, ClientStuck, DeliveryRefused, FlushIncomplete, StepAborted, StopWorker
from .offsets import Partition
from .record import Outgoing

SLICE_S = 5.0
"""Longest single wait inside librdkafka: what it is at shows at the latest after this."""

NUDGE_S = 1.0
"""How long a call is waited for before the client is nudged, and how long that may take. Milliseconds where all is
well."""

HUNG = 5
"""How often brokers have answered a nudge, long after a call's own time-out, where it will not come back any more."""

FUTILE = 20
"""How often brokers have answered a nudge while nothing succeeded, where nothing will, though calls do come back."""

OVERDUE_S = 1.0
"""How far past its own time-out, and past the deadline, a call is waited for before it counts as hung."""


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


class Deadline:
    """Calls into the client until one succeeds, and no longer than the brokers may be gone.

    In a thread, because not every call keeps its time-out, or has one: `send_offsets_to_transaction` waits for ever for
    a group coordinator whose connection broke (librdkafka issue 5456, open as of 2.16), a commit for a broker that is
    paused. Nothing brings such a client back: the worker ends, and the next one goes on.

    Args:
        producer: asked now and then for anything at all, while a call lasts: it wakes one that waits for a coordinator
            only when the state of some connection changes, and connects only where there is something to ask.

    Attributes:
        topic: what the producer is asked for.
    """

    def __init__(self, producer: Producer, deadline_s: float) -> None:
        self._producer = producer
        self._deadline_s = deadline_s
        self._thread = Background("sink")
        self.topic = ""
        self._answered = 0
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._at = time.monotonic() + self._deadline_s

    @property
    def left_s(self) -> float:
        """Until the deadline; never below 0."""
        return max(0.0, self._at - time.monotonic())

    def persist(self, doing: str, call: Callable[[float], Any], *, again: Callable[[KafkaError], bool]) -> None:
        """Call until it succeeds.

        Args:
            call: given the seconds it may take.
            again: whether to try again after an error; or raises what it means.

        Raises:
            BrokerUnavailable: it did not succeed in time.
            StopWorker: it never will; `ClientStuck` where brokers answer and only the client does not.
        """
        while True:
            slice_s = min(SLICE_S, max(0.1, self.left_s))
            try:
                self._await(doing, self._thread.submit(call, slice_s), slice_s)
            except TimeoutError as hung:
                raise BrokerUnavailable(doing, self._deadline_s, "the client does not return") from hung
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                stop_if_denied(error)
                if error.fatal():
                    raise fatal(doing, error) from raised
                if not again(error):
                    raise StopWorker(f"{doing} failed: {error.str()}") from raised
                if self._answered >= FUTILE:
                    raise ClientStuck(doing) from raised
                if not self.left_s:
                    raise BrokerUnavailable(doing, self._deadline_s, error.str()) from raised
                time.sleep(min(0.1, self.left_s))  # where it failed at once
            else:
                self._answered = 0
                return

    def _await(self, doing: str, answer: Future[Any], slice_s: float) -> None:
        """Raises TimeoutError where it does not come by the deadline, ClientStuck where only the client is amiss."""
        began = time.monotonic()
        give_up_at = began + max(slice_s, self.left_s) + OVERDUE_S
        answered_late = 0
        while not wait([answer], min(NUDGE_S, max(0.0, give_up_at - time.monotonic()))).done:
            now = time.monotonic()
            if now >= give_up_at:
                raise TimeoutError
            with contextlib.suppress(KafkaException):
                self._producer.list_topics(self.topic, timeout=NUDGE_S)
                self._answered += 1
                answered_late += now > began + slice_s + OVERDUE_S
            if answered_late >= HUNG:
                raise ClientStuck(doing)
        answer.result()


class TransactionalSink:
    """Exactly once: results, dead letters and offsets are one transaction (KIP-447).

    Args:
        producer: with a transactional id, made with *failures* as its delivery callback.
        deadline_s: how long the brokers may be gone; an abort after a failed write has as long again.
    """

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline = Deadline(producer, deadline_s)

    def open(self) -> None:
        self._deadline.restart()
        try:
            self._persist("starting transactions", self._producer.init_transactions)
        except StepAborted as error:
            raise StopWorker(f"transactions cannot be started: {error}") from error

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group) -> None:
        positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self._failures.first = None
        self._deadline.restart()
        try:
            self._persist("beginning a transaction", lambda _: self._producer.begin_transaction())
            for record in records:
                _produce(self._producer, record, self._deadline)
            metadata = group.group_metadata()
            self._persist(
                "adding offsets to the transaction",
                lambda timeout_s: self._producer.send_offsets_to_transaction(positions, metadata, timeout_s),
            )
            # Flushes first; fails if any record did.
            self._persist("committing a transaction", self._producer.commit_transaction)
        except (StepAborted, DeliveryRefused):
            self._deadline.restart()
            self._persist("aborting a transaction", self._producer.abort_transaction)
            self._failures.stop_if_refused()
            raise

    def _persist(self, doing: str, call: Callable[[float], Any]) -> None:
        """What librdkafka says of the error decides what a failure means."""

        def again(error: KafkaError) -> bool:
            if error.txn_requires_abort():
                raise StepAborted(error.str())
            return error.retriable() or error.code() == KafkaError._TIMED_OUT

        self._deadline.persist(doing, call, again=again)


class AtLeastOnceSink:
    """Records first, acknowledged by all replicas, then the offsets. After a crash some results come twice."""

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline = Deadline(producer, deadline_s)

    def open(self) -> None:
        pass

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group) -> None:
        self._failures.first = None
        self._deadline.restart()
        for record in records:
            _produce(self._producer, record, self._deadline)
        outstanding = self._producer.flush(self._deadline.left_s)
        self._failures.stop_if_refused()
        if self._failures.first is not None:
            raise StepAborted(self._failures.first[1].str())
        if outstanding:
            raise FlushIncomplete(outstanding)
        self._deadline.persist("committing offsets", lambda _: group.commit(offsets), again=_commit_again)


def _commit_again(error: KafkaError) -> bool:
    if error.code() in REPLACED:
        raise StepAborted(error.str())
    return True


def _produce(producer: Producer, record: Outgoing, deadline: Deadline) -> None:
    """Hand one record over, waiting for room in the client's queue."""
    deadline.topic = record.topic
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
            if not deadline.left_s:
                raise FlushIncomplete(len(producer)) from error
            producer.poll(0.1)
        except KafkaException as raised:
            error_ = raised.args[0]
            if error_.code() in REFUSALS:
                raise DeliveryRefused(record.topic, error_.str()) from raised
            if error_.fatal():
                raise fatal("writing", error_) from raised
            raise StepAborted(error_.str()) from raised
        else:
            return
