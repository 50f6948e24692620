"""Report the lag of the whole topic, also of partitions that no worker reads.

All numbers come from brokers, so they are correct while nothing is read.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from confluent_kafka import KafkaException

from emotag_worker.wire.record import Partition

from .offsets import OffsetReader, PartitionOffsets

EVERY_S = 5.0
"""Shortest pause between two measurements; Prometheus scrapes about every fifteen seconds."""

PAUSE_RATIO = 20.0
"""Shortest pause, in multiples of the last measurement's time: thousands of partitions take longer to ask for."""

Positions = Callable[[], Mapping[Partition, int | None]]


@dataclass(frozen=True)
class TopicLag:
    """One measurement.

    Attributes:
        partitions: number of partitions of the topic.
        assigned: the lag of each partition that this worker reads.
        records: the lag of all partitions, also of those that other workers read.
        undecided: records of all partitions that wait for the end of a transaction.
        undecided_s: longest time for which the stable offset of a partition with such records has not moved.
    """

    partitions: int
    assigned: Mapping[Partition, int]
    records: int
    undecided: int
    undecided_s: float


class StableOffsets:
    """Since when the stable offset of each partition has not moved although records wait behind it."""

    def __init__(self) -> None:
        self._since: dict[Partition, tuple[int, float]] = {}

    def measure_longest_s(self, offsets: Mapping[Partition, PartitionOffsets], now: float) -> float:
        """Return the longest time of any partition, in seconds; 0 if no partition has undecided records."""
        waiting = {partition: at.end for partition, at in offsets.items() if at.undecided}
        before = self._since
        self._since = {
            partition: before[partition] if before.get(partition, (-1, 0.0))[0] == end else (end, now)
            for partition, end in waiting.items()
        }
        return max((now - since for _, since in self._since.values()), default=0.0)


class LagWatch:
    """Measures the lag in a thread until `close`.

    Args:
        positions: returns, for each partition that this worker reads, the offset that it committed; None if it has not.
        report: called with each measurement.
    """

    def __init__(
        self, reader: OffsetReader, topic: str, positions: Positions, report: Callable[[TopicLag], None]
    ) -> None:
        self._reader = reader
        self._topic = topic
        self._positions = positions
        self._report = report
        self._stable = StableOffsets()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; do not wait for a measurement that is in progress."""
        self._closed.set()

    def _watch(self) -> None:
        pause_s = EVERY_S
        while not self._closed.wait(pause_s):
            began = time.monotonic()
            with contextlib.suppress(KafkaException):  # others report unreachable brokers; the last values stay
                self._report(self._measure())
            self._reader.discard_events()
            pause_s = max(EVERY_S, PAUSE_RATIO * (time.monotonic() - began))

    def _measure(self) -> TopicLag:
        partitions = self._reader.list_partitions(self._topic)
        current = self._reader.fetch_all(partitions, partly=True)
        for partition, own in self._positions().items():  # include the commits of this worker since the request
            if own is not None and partition in current:
                at = current[partition]
                current[partition] = replace(at, committed=max(at.committed or 0, own))
        assigned = self._positions().keys() & current.keys()
        return TopicLag(
            partitions=len(partitions),
            assigned={partition: current[partition].lag for partition in assigned},
            records=sum(at.lag for at in current.values()),
            undecided=sum(at.undecided for at in current.values()),
            undecided_s=self._stable.measure_longest_s(current, time.monotonic()),
        )
