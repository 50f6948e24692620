"""Watch when results become visible: how long an open transaction keeps read_committed readers waiting."""

import contextlib
import threading
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from emotag_worker.wire.record import Partition
from tests.conftest import QUIET

EVERY_S = 0.5
REQUEST_S = 1.0

Undecided = tuple[int, float]
"""(last stable offset, the time since which records behind it wait)"""


class Visibility:
    """Ask for the last stable offset and the end of each partition, in a thread, until `close`.

    A partition is frozen while records are in it that no read_committed reader gets, and the last stable offset does
    not move.

    Attributes:
        frozen_s: the longest time that a partition was frozen.
    """

    def __init__(self, bootstrap_servers: str, topics: Sequence[str]) -> None:
        self._topics = topics
        self._stable = self._open(bootstrap_servers, "read_committed")
        self._all = self._open(bootstrap_servers, "read_uncommitted")
        self._undecided: dict[Partition, Undecided] = {}
        self.frozen_s = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="visibility", daemon=True)
        self._thread.start()

    def close(self) -> float:
        """Stop, and return the longest time that a partition was frozen."""
        self._closed.set()
        self._thread.join()
        self._stable.close()
        self._all.close()
        return self.frozen_s

    @staticmethod
    def _open(bootstrap_servers: str, isolation: str) -> Consumer:
        given = {"bootstrap.servers": bootstrap_servers, "group.id": "visibility", "isolation.level": isolation}
        return Consumer(given, logger=QUIET)

    def _watch(self) -> None:
        while not self._closed.wait(EVERY_S):
            with contextlib.suppress(KafkaException):  # no broker answers; the next round asks again
                for partition in self._list_partitions():
                    self._look_at(partition)

    def _list_partitions(self) -> list[Partition]:
        known = self._all.list_topics(timeout=REQUEST_S).topics
        # A broker that has just started may not know the topics yet.
        return [(name, at) for name in self._topics if name in known for at in known[name].partitions]

    def _look_at(self, partition: Partition) -> None:
        """Measure how long the partition has been frozen."""
        at = TopicPartition(*partition)
        # The end first: what is decided between the two requests does not count as undecided.
        _, end = self._all.get_watermark_offsets(at, timeout=REQUEST_S)
        _, stable = self._stable.get_watermark_offsets(at, timeout=REQUEST_S)
        now = time.monotonic()
        if stable >= end:
            self._undecided.pop(partition, None)
            return
        offset, since = self._undecided.get(partition, (stable, now))
        if offset != stable:
            since = now
        self._undecided[partition] = (stable, since)
        self.frozen_s = max(self.frozen_s, now - since)
