"""Skip produce batches that the client cannot read, and no record behind them.

librdkafka decompresses zstd up to `receive.message.max.bytes` (100 MB). For a larger batch, or a damaged one, it
repeats an error forever, with the first offset of the batch. It does not tell the last one. The brokers return
the whole batch that contains an offset, so a second client tries offsets behind the first one: while the same batch
fails, it contains them.
"""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import DataLoss
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.record import Partition

from .gap import Gap
from .progress import ReadProgress

UNREADABLE = frozenset({KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG})
"""Errors of a batch that stays unreadable."""

ATTEMPT_S = 5.0
"""Longest wait for the records at one offset."""

SEARCH_S = 5.0
"""After this time, no further batch is searched before the worker continues: its other partitions wait meanwhile."""


class Unreadable:
    """The batches that were skipped.

    Args:
        create: creates a client that joins no group, and reports the end of a partition.
        stop_at_gap: stop the worker instead of skipping records.
    """

    def __init__(self, create: Callable[[], Consumer], telemetry: Telemetry, *, stop_at_gap: bool = False) -> None:
        self._create = create
        self._telemetry = telemetry
        self._stop_at_gap = stop_at_gap
        self._reported: set[tuple[Partition, int]] = set()

    def skip(self, consumer: Consumer, partition: Partition, first: int, progress: ReadProgress) -> None:
        """Continue behind the unreadable batch that begins at *first*, and behind others that follow it directly.

        If brokers do not answer, do nothing: the client reports the batch again. After some errors, such as a wrong
        checksum, the client continues itself, and *progress* is beyond the batch.

        Raises:
            DataLoss: the worker is to stop.
        """
        try:
            resume = self._find_readable(partition, first)
            gap = Gap("unreadable", first, resume, resume - first)
            self._report(partition, gap)
            if (progress.find_next(partition) or 0) < resume:
                consumer.seek(TopicPartition(*partition, resume))
        except (KafkaException, TimeoutError):
            return

    def _report(self, partition: Partition, gap: Gap) -> None:
        # After an abort, the partition is read again from an offset before the batch.
        if (partition, gap.position) not in self._reported:
            self._reported.add((partition, gap.position))
            self._telemetry.report_data_loss(*partition, gap)
        if self._stop_at_gap:
            raise DataLoss(gap.describe(*partition))

    def _find_readable(self, partition: Partition, first: int) -> int:
        client = self._create()
        try:
            _, end = client.get_watermark_offsets(TopicPartition(*partition), timeout=ATTEMPT_S)
            return find_readable(first, end, lambda offset: _attempt(client, partition, offset))
        finally:
            client.close()


def find_readable(first: int, end: int, attempt: Callable[[int], int | None]) -> int:
    """Return the first offset behind the unreadable batch at *first*, and behind the unreadable batches that follow.

    Args:
        end: the end of the partition.
        attempt: reads at an offset; returns the first offset of the unreadable batch that it finds there, else None.
    """
    give_up_at = time.monotonic() + SEARCH_S
    behind = find_end(first, end, attempt)
    while behind < end and time.monotonic() < give_up_at and attempt(behind) == behind:
        behind = find_end(behind, end, attempt)
    return behind


def find_end(first: int, end: int, attempt: Callable[[int], int | None]) -> int:
    """Return the first offset behind the batch that begins at *first*: in few steps for a small batch too."""
    inside, behind, step = first, end, 1
    while behind - inside > 1:
        tried = min(inside + step, (inside + behind) // 2)
        found = attempt(tried)
        if found == first:
            inside, step = tried, 2 * step
        else:
            behind = tried if found is None else min(tried, found)
    return behind


def _attempt(client: Consumer, partition: Partition, offset: int) -> int | None:
    """Read at *offset*; return the first offset of an unreadable batch, None for a record or the end."""
    client.assign([TopicPartition(*partition, offset)])
    message = client.poll(ATTEMPT_S)
    if message is None:
        raise TimeoutError
    error = message.error()
    if error is None or error.code() == KafkaError._PARTITION_EOF:
        return None
    if error.code() in UNREADABLE:
        return message.offset()
    raise KafkaException(error)
