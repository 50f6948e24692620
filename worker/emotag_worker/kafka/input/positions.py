"""Continue partitions that the client stopped reading, because it has no offset to read from that exists.

With `auto.offset.reset=error`, the client never chooses an offset itself. If the group has no committed offset, or the
next offset is out of range, the client reports an error and stops that partition. This module finds out why, reports
it, and continues at an offset that skips no record that exists.
"""

import re
import time
from collections.abc import Collection, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import DataLoss
from emotag_worker.kafka.broker_errors import REPLACED, is_temporary, stop_if_denied
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.offsets import OffsetReader, commit_offsets
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.wire.record import Partition

from .callbacks import seek
from .gap import find_gap
from .progress import ReadProgress
from .start import Starts, choose_starts

RETRY_S = 0.5
"""Shortest pause between two tries while brokers do not answer, or while the group rebalances."""

PAUSE_RATIO = 1.0
"""Shortest pause, in multiples of the time of the last try. The poll waits for a try, and in the pause it returns the
records of other brokers."""

STOPPED = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION})
"""Errors after which the client no longer reads the partition."""

TRUNCATED_AT = re.compile(r"truncation detected at offset (\d+)")
DIVERGED = re.compile(r"broker end offset is (\d+)")
"""The client reports a truncation only as text: the offset to read, and the one at which the log differs from what was
read. The error itself has no offset."""


class Positions:
    """The partitions that are not read yet, or not any more.

    Args:
        start: where to begin without a committed offset: the setting `input.start`.
        deadline_s: longest time without an answer of the brokers.
        stop_at_gap: if records were deleted before they were read, stop instead of skipping them.
        eager: the group assigns all partitions at once, so all of them must be given to the client again.
        bounded: the run reads a range that begins at *start*, in every partition.
    """

    def __init__(
        self,
        reader: OffsetReader,
        *,
        start: str,
        deadline_s: float,
        telemetry: Telemetry,
        stop_at_gap: bool = False,
        eager: bool = False,
        bounded: bool = False,
    ) -> None:
        self._reader = reader
        self._start = start
        self._deadline_s = deadline_s
        self._telemetry = telemetry
        self._stop_at_gap = stop_at_gap
        self._eager = eager
        self._bounded = bounded
        self._new: set[Partition] = set()
        self._stopped: dict[Partition, tuple[int | None, int | None]] = {}
        self._failing_since: float | None = None
        self._next_try = 0.0

    def attach(self, consumer: Consumer, progress: ReadProgress) -> None:
        """Set the client that reads, and how far it has come."""
        self._consumer = consumer
        self._progress = progress

    def note_assigned(self, partitions: Collection[Partition]) -> None:
        """The group gave these partitions to this worker."""
        self._new |= set(partitions)

    def note_gone(self, partitions: Collection[Partition]) -> None:
        """The group took these partitions away."""
        self._new -= set(partitions)
        for partition in partitions:
            self._stopped.pop(partition, None)

    def note_stopped(self, partition: Partition, position: int | None, error: KafkaError) -> None:
        """The client stopped reading a partition.

        Args:
            position: the offset that it could not read; None without a committed offset.
            error: one of `STOPPED`.
        """
        truncated, diverged = TRUNCATED_AT.search(error.str()), DIVERGED.search(error.str())
        if position is None and truncated:
            position = int(truncated[1])
        following = self._progress.find_next(partition)
        if following is not None:
            if position is None or position < following:
                # The report is late: meanwhile this worker chose where to begin, or records came. Whether the client
                # reads on or not, this worker gives it the partition again, at the next record.
                diverged = None
            position = following  # below the reported offset if a batch is to be read again
        self._stopped[partition] = position, int(diverged[1]) if diverged else None

    def is_stopped(self, partition: Partition) -> bool:
        """Return True if the next `settle` chooses where to continue: what the client returns until then is dropped."""
        return partition in self._stopped

    def rewind(self, partition: Partition, offset: int) -> None:
        """Continue at *offset*: at once, or with the next `settle` if the client cannot seek in the partition.

        Raises:
            StopWorker: as for `seek`.
        """
        if partition in self._stopped:
            position, diverged = self._stopped[partition]
            self._stopped[partition] = offset if position is None else min(position, offset), diverged
        elif not seek(self._consumer, partition, offset):
            self._stopped[partition] = offset, None

    def settle(self) -> Mapping[Partition, int]:
        """Log where new partitions begin, and continue those that the client stopped; retry later if that fails.

        Returns:
            The offsets at which the group begins to read new partitions, as far as brokers answer.

        Raises:
            DataLoss: records were deleted, and the worker is to stop.
            NoCommittedOffsets: the group has no offsets, and the worker is not to choose any.
            StopWorker: the brokers refuse, or have not answered within the deadline.
        """
        if not self._stopped:  # also if the group took away the partitions whose lookup failed
            self._failing_since = None
        began = time.monotonic()
        begin: dict[Partition, int] = {}
        if not (self._new or self._stopped) or began < self._next_try:
            return begin
        new, self._new = self._new, set()
        try:
            begin |= self._report_new(new - self._stopped.keys())
            self._close_gaps({at: found for at, found in self._stopped.items() if found[0] is not None})
            begin |= self._begin([at for at, (position, _) in self._stopped.items() if position is None])
        except KafkaException as raised:
            self._retry_later(raised.args[0], began)
        else:
            self._failing_since = None
        return begin

    def _report_new(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        if not partitions:
            return {}
        committed = self._reader.fetch_committed(partitions)
        bounds = self._fetch_bounds(partitions)
        for partition in sorted(partitions):
            offset, (beginning, end) = committed[partition].offset, bounds[partition]
            if offset is not None:  # without one, the client stops the partition
                ahead = max(0, end - max(offset, beginning))
                self._telemetry.report_start_of_partition(*partition, committed=offset, start=offset, ahead=ahead)
        return {at: found.offset for at, found in committed.items() if found.offset is not None}

    def _close_gaps(self, stopped: Mapping[Partition, tuple[int | None, int | None]]) -> None:
        if not stopped:
            return
        committed = self._reader.fetch_committed(stopped)
        bounds = self._fetch_bounds(stopped)
        resume = {}
        for partition, (position, diverged) in stopped.items():
            assert position is not None
            beginning, end = bounds[partition]
            gap = find_gap(
                position, committed=committed[partition].offset, beginning=beginning, end=end, diverged=diverged
            )
            resume[partition] = position if gap is None else gap.resume
            if gap is not None:
                self._telemetry.report_data_loss(*partition, gap)
                if self._stop_at_gap:
                    raise DataLoss(gap.describe(*partition))
        self._read_from(resume)

    def _begin(self, missing: Collection[Partition]) -> Mapping[Partition, int]:
        if not missing:
            return {}
        starts = choose_starts(missing, self._start, self._reader, bounded=self._bounded)
        # The start is committed at once: a restart before the first result must not choose another one.
        commit_offsets(
            self._consumer,
            [TopicPartition(*at, offset, metadata=starts.notes[at]) for at, offset in starts.offsets.items()],
        )
        self._read_from(starts.offsets)
        self._report_starts(starts)
        return starts.offsets

    def _report_starts(self, starts: Starts) -> None:
        self._telemetry.report_missing_offsets(
            partitions=len(starts.offsets),
            start=starts.how,
            ahead=starts.ahead,
            is_new=starts.is_new,
            bounded=self._bounded,
        )
        for at, offset in sorted(starts.offsets.items()):
            ahead = max(0, starts.ends[at] - offset)
            self._telemetry.report_start_of_partition(*at, committed=None, start=offset, ahead=ahead)

    def _fetch_bounds(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        asked = list(partitions)
        ends = self._reader.fetch_ends(asked)
        return {at: (low, ends[at]) for at, low in self._reader.fetch_beginnings(asked).items()}

    def _read_from(self, offsets: Mapping[Partition, int]) -> None:
        """Give partitions to the client again: it cannot seek in a partition that it stopped."""
        positions = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        assigned = {(at.topic, at.partition) for at in self._consumer.assignment()}
        if self._eager:
            kept = assigned - offsets.keys()
            self._consumer.assign([*map(self._find_position, kept), *positions])
        else:
            self._consumer.incremental_unassign([at for at in positions if (at.topic, at.partition) in assigned])
            self._consumer.incremental_assign(positions)
        self._progress.note_resumed(offsets)
        for partition in offsets:
            self._stopped.pop(partition, None)

    def _find_position(self, partition: Partition) -> TopicPartition:
        offset = self._progress.find_next(partition)
        # Without an offset, the client reads on from the committed one.
        return TopicPartition(*partition) if offset is None else TopicPartition(*partition, offset)

    def _retry_later(self, error: KafkaError, began: float) -> None:
        if not self._stopped:  # only a log line is missing
            return
        stop_if_denied(error)
        if not is_temporary(error) and error.code() not in REPLACED:
            raise KafkaException(error)
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        self._next_try = now + max(RETRY_S, PAUSE_RATIO * (now - began))
        if now - self._failing_since > self._deadline_s:
            raise get_connection(self._consumer).explain_outage("looking up offsets", self._deadline_s, error)
