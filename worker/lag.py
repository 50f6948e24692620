"""How far behind the worker is, asked of the brokers: true also while nothing is fetched, and while a step is slow."""

import threading
from collections.abc import Callable

from confluent_kafka import KafkaException

from .offsets import Partition

EVERY_S = 5.0
"""How often the brokers are asked; Prometheus scrapes every fifteen seconds or so."""

CLOSING_S = 5.0
"""Longest wait for the last question at the end; above what one may take."""


class LagWatch:
    """Asks in a thread, until it is closed.

    Args:
        partitions: those that are read.
        lag_of: records of one that are not yet committed.
        told: takes what was found, by partition.
    """

    def __init__(
        self,
        partitions: Callable[[], list[Partition]],
        lag_of: Callable[[Partition], int],
        told: Callable[[dict[Partition, int]], None],
    ) -> None:
        self._partitions = partitions
        self._lag_of = lag_of
        self._told = told
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more. To be called before the consumer is closed, which it asks by."""
        self._closed.set()
        self._thread.join(CLOSING_S)

    def _watch(self) -> None:
        while not self._closed.wait(EVERY_S):
            found = {}
            for partition in self._partitions():
                if self._closed.is_set():
                    return
                try:
                    found[partition] = self._lag_of(partition)
                except KafkaException:  # brokers that are gone are told of elsewhere; the last figures stay
                    break
            else:
                self._told(found)
