"""How far behind the worker is, asked of the brokers: true also while nothing is fetched, and while a step is slow."""

import threading
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from .offsets import Partition

EVERY_S = 5.0
"""How often the brokers are asked; Prometheus scrapes every fifteen seconds or so."""

ANSWER_S = 2.0
"""Longest wait for an answer. Milliseconds where all is well."""


class LagWatch:
    """Asks in a thread, until it is closed.

    Args:
        admin: a client of its own: the consumer's answers wait until it is not being polled.
        group_id: whose commits count where this worker has none yet.
        positions: what is read now, and the next offset of each that was committed here; None where none was.
        told: takes the records that are not committed yet, by partition.
    """

    def __init__(
        self,
        admin: AdminClient,
        group_id: str,
        positions: Callable[[], Mapping[Partition, int | None]],
        told: Callable[[Mapping[Partition, int]], None],
    ) -> None:
        self._admin = admin
        self._group_id = group_id
        self._positions = positions
        self._told = told
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more. What is being asked is not waited for."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(EVERY_S):
            try:
                self._told(self._lag())
            except KafkaException:  # brokers that are gone are told of elsewhere; the last figures stay
                continue

    def _lag(self) -> dict[Partition, int]:
        positions = dict(self._positions())
        if not positions:
            return {}
        known = {partition: at for partition, at in positions.items() if at is not None}
        fresh = [partition for partition in positions if partition not in known]
        if fresh:
            known |= self._committed(fresh)
        return {at: max(0, end - known[at]) for at, end in self._ends(positions, OffsetSpec.latest()).items()}  # type: ignore[no-untyped-call]

    def _committed(self, partitions: list[Partition]) -> dict[Partition, int]:
        """By whoever had them before; where nobody did, their beginning."""
        asked = ConsumerGroupTopicPartitions(self._group_id, [TopicPartition(*partition) for partition in partitions])
        (answer,) = self._admin.list_consumer_group_offsets([asked], request_timeout=ANSWER_S).values()
        found = {(at.topic, at.partition): at.offset for at in answer.result().topic_partitions}
        return {at: max(found[at], low) for at, low in self._ends(partitions, OffsetSpec.earliest()).items()}  # type: ignore[no-untyped-call]

    def _ends(self, partitions: Iterable[Partition], which: OffsetSpec) -> dict[Partition, int]:
        answers = self._admin.list_offsets(
            {TopicPartition(*partition): which for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=ANSWER_S,
        )
        return {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}
