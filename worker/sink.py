"""Results and dead letters to their topics, and with them the offsets they stand for.

Both sinks promise the same: when `write` returns, all of a step is there and committed; when it raises, the offsets
are not committed. The transactional one promises besides that nobody who reads committed records saw any of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from .broker_errors import REFUSALS, REPLACED, fatal
from .deadline import Deadline
from .delivery import DeliveryFailures
from .errors import ClientStuck, DeliveryRefused, FlushIncomplete, StepAborted, StopWorker
from .offsets import Partition
from .record import Outgoing
from .settings import Settings


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


MAX_ABORTS = 8
"""Steps aborted in a row before their writer gives up: with the pauses between, about 25 s of a broker's trouble."""


def pause_s(aborts: int) -> float:
    """How long to leave the brokers alone after so many in a row."""
    return min(5.0, 0.1 * 2.0**aborts)


def sink_of(settings: Settings, producer: Producer, failures: DeliveryFailures) -> Sink:
    """The one that the delivery asked for needs; *producer* made with *failures* as its delivery callback."""
    kind = TransactionalSink if settings.delivery == "exactly_once" else AtLeastOnceSink
    return kind(producer, failures, deadline_s=settings.kafka.unavailable_s)


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
            self._persist("aborting a transaction", self._abort)
            self._failures.stop_if_refused()
            raise

    def _abort(self, timeout_s: float) -> None:
        """The next worker's first call does it as well: what does not work here is not worth long waiting."""
        try:
            self._producer.abort_transaction(timeout_s)
        except KafkaException as error:
            if self._deadline.futile and error.args[0].code() == KafkaError._TIMED_OUT:
                raise ClientStuck("aborting a transaction") from error
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
