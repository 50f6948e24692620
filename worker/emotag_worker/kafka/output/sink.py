"""Write results and dead letters to their topics, and commit the offsets of their records.

Both sinks give one guarantee: if `write` returns, the whole batch is written and committed; if it raises, no offset is
committed. The transactional sink adds another: if `write` raises, no consumer of committed records sees the batch.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from emotag_worker.errors import BatchAborted, ClientStuck, DeliveryRefused, RecordsRefused, StopWorker
from emotag_worker.kafka.broker_errors import RECORD_REFUSALS, REPLACED, TOPIC_REFUSALS, explain_fatal
from emotag_worker.kafka.offsets import build_positions
from emotag_worker.protocols import Group, Sink
from emotag_worker.settings import Settings
from emotag_worker.wire.record import Outgoing, Partition

from .deadline import SLICE_S, Deadline
from .failures import DeliveryFailures as DeliveryFailures  # those who create a sink create its callback
from .failures import OnDelivery

PARTITION_UA = -1
"""The client's partition of a record whose key decides."""

MAX_ABORTS = 8
"""Batches aborted in a row before their writer gives up: with the pauses between them, after about 25 s."""

LOOK_S = 0.02
"""Pause between two looks for a failure while records are on their way. After a failure the client keeps the records
that it has not sent yet, and a commit would wait for them until its own timeout."""


class Step(StrEnum):
    """The calls that a sink repeats until they succeed, as error messages name them."""

    INIT = "starting transactions"
    BEGIN = "beginning a transaction"
    SEND_OFFSETS = "adding offsets to the transaction"
    COMMIT = "committing a transaction"
    ABORT = "aborting a transaction"
    COMMIT_OFFSETS = "committing offsets"


def create_sink(settings: Settings, producer: Producer, failures: DeliveryFailures) -> Sink:
    """Return the sink for `delivery`; *failures* must be the delivery callback of *producer*."""
    kind = TransactionalSink if settings.delivery == "exactly_once" else AtLeastOnceSink
    return kind(producer, failures, deadline_s=settings.kafka.broker_timeout_s)


class TransactionalSink:
    """Exactly once: results, dead letters and offsets are one transaction (KIP-447).

    Args:
        producer: has a transactional id, and *failures* as its delivery callback.
        deadline_s: longest time without an answer of the brokers; aborting a failed batch may take as long again.
    """

    transactional = True

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline = Deadline(producer, deadline_s)

    def open(self) -> None:
        self._deadline.restart()
        try:
            self._retry(Step.INIT, self._producer.init_transactions)
        except BatchAborted as error:
            raise StopWorker(f"cannot start transactions: {error}; restart the worker") from error

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Group,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        positions = build_positions(offsets)
        self._deadline.restart()
        try:
            # 1. Begin. The client does this without the brokers.
            self._retry(Step.BEGIN, lambda _: self._producer.begin_transaction())
            # 2. Produce. The client sends in the background.
            for _ in produce_records(self._producer, records, self._failures, self._deadline, flush_after):
                await_records(self._producer, self._failures)
                self._failures.stop_if_any()
            # 3. Add the offsets. The brokers refuse them if another worker reads the partitions by now, which the
            #    group's metadata shows.
            metadata = group.group_metadata()
            self._retry(
                Step.SEND_OFFSETS,
                lambda timeout_s: self._producer.send_offsets_to_transaction(positions, metadata, timeout_s),
            )
            # 4. Wait for the records. A refused one ends the wait early. If they failed for another reason, the commit
            #    fails at once, and its error names the cause.
            await_records(self._producer, self._failures)
            self._failures.stop_if_refused()
            # 5. Commit. The client flushes first, and the commit fails if any record failed.
            self._retry(Step.COMMIT, self._producer.commit_transaction)
        except (BatchAborted, DeliveryRefused, RecordsRefused):
            # 6. If a step failed, abort, so that no consumer waits for this transaction. Then nothing is written.
            self._deadline.restart()
            self._retry(Step.ABORT, self._abort)
            # 7. Receive all reports of this transaction: the next one must not take them for its own.
            drain_reports(self._producer)
            self._failures.stop_if_refused(range(len(records)))
            raise

    def _abort(self, timeout_s: float) -> None:
        """Abort, but give up early: the first call of the next worker aborts this transaction too."""
        try:
            self._producer.abort_transaction(timeout_s)
        except KafkaException as error:
            if self._deadline.futile and error.args[0].code() == KafkaError._TIMED_OUT:
                raise ClientStuck(Step.ABORT) from error
            raise

    def _retry(self, step: Step, call: Callable[[float], Any]) -> None:
        self._deadline.retry(step, call, may_retry=_may_retry_transaction)


class AtLeastOnceSink:
    """Records first, acknowledged by all replicas, then the offsets. After a crash some results are written twice."""

    transactional = False

    def __init__(self, producer: Producer, failures: DeliveryFailures, *, deadline_s: float) -> None:
        self._producer = producer
        self._failures = failures
        self._deadline = Deadline(producer, deadline_s)

    def open(self) -> None:
        pass

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Group,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        self._deadline.restart()
        # 1. Produce.
        for index in produce_records(self._producer, records, self._failures, self._deadline, flush_after):
            self._flush(range(index + 1, len(records)))
        # 2. Flush: wait until the brokers have acknowledged every record.
        self._flush(())
        # 3. Commit the offsets.
        self._deadline.retry(Step.COMMIT_OFFSETS, lambda _: group.commit(offsets), may_retry=_may_retry_commit)

    def _flush(self, unsent: Iterable[int]) -> None:
        outstanding = flush(self._producer, self._deadline.left_s)
        # Records that are still on their way are neither written nor refused, and their reports would be taken for
        # those of the next attempt: there must be none.
        if outstanding:
            raise self._deadline.explain_outage(f"waiting for acknowledgements ({outstanding} missing)")
        self._failures.stop_if_any(unsent)


def compute_pause_s(aborts: int) -> float:
    """Return how long to pause after *aborts* aborted batches in a row."""
    return min(5.0, 0.1 * 2.0**aborts)


def produce_records(
    producer: Producer,
    records: Sequence[Outgoing],
    failures: DeliveryFailures,
    deadline: Deadline,
    flush_after: Collection[int],
) -> Iterator[int]:
    """Add records to the client's queue. Yield each index of *flush_after* after its record: the caller waits there.

    Raises:
        BatchAborted, StopWorker: the client accepts no more records.
    """
    for index, (record, callback) in enumerate(zip(records, failures.begin(len(records)), strict=False)):
        try:
            produce_record(producer, record, callback, deadline)
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            if error.code() in TOPIC_REFUSALS or error.code() in RECORD_REFUSALS:
                failures.note(index, record.topic, index - len(records), error)
                continue
            if error.fatal():
                raise explain_fatal("writing", error) from raised
            raise BatchAborted(error.str()) from raised
        if index in flush_after:
            yield index


def produce_record(producer: Producer, record: Outgoing, callback: OnDelivery, deadline: Deadline) -> None:
    """Add one record to the client's queue; wait while the queue is full.

    Raises:
        KafkaException: the client does not accept the record.
    """
    deadline.topic = record.topic
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                # The client reads 0 as "now". A record from the first millisecond of 1970 gets the current time.
                timestamp=record.timestamp_ms or 0,
                on_delivery=callback,
                partition=PARTITION_UA if record.partition is None else record.partition,
            )
        except BufferError as error:
            if not deadline.left_s:
                raise deadline.explain_outage(f"writing to {record.topic}") from error
            producer.poll(0.1)
        else:
            return


def flush(producer: Producer, timeout_s: float) -> int:
    """Wait until all records are written, or for *timeout_s*; return the number of those that are not.

    Raises:
        StopWorker: the client has failed for good. It raises such an error in any call that runs callbacks.
    """
    try:
        return producer.flush(timeout_s)
    except KafkaException as raised:
        error: KafkaError = raised.args[0]
        if error.fatal():
            raise explain_fatal("writing", error) from raised
        raise


def await_records(producer: Producer, failures: DeliveryFailures) -> None:
    """Wait until all records are written or one has failed, but not for long: the next step waits, too."""
    give_up_at = time.monotonic() + SLICE_S
    while flush(producer, LOOK_S) and failures.first is None and time.monotonic() < give_up_at:
        pass


def drain_reports(producer: Producer) -> None:
    """Receive the reports of records that an abort has removed from the client's queue."""
    give_up_at = time.monotonic() + SLICE_S
    while flush(producer, LOOK_S) and time.monotonic() < give_up_at:
        pass


def _may_retry_transaction(error: KafkaError) -> bool:
    if error.txn_requires_abort():
        raise BatchAborted(error.str())
    return error.retriable() or error.code() == KafkaError._TIMED_OUT


def _may_retry_commit(error: KafkaError) -> bool:
    if error.code() in REPLACED:
        raise BatchAborted(error.str())
    return True
