"""How far behind the worker is, asked of the brokers: true also while nothing is fetched, and while a step is slow."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from .broker_errors import stop_if_denied
from .errors import BrokerUnavailable
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
            # By whoever had them before; where nobody did, their beginning.
            found = _committed(self._admin, self._group_id, fresh)
            known |= {at: max(found[at], low) for at, low in _beginnings(self._admin, fresh).items()}
        return {at: max(0, end - known[at]) for at, end in _ends(self._admin, positions).items()}


@dataclass(frozen=True)
class PartitionLag:
    """How far a group is behind on one partition.

    Attributes:
        end: the offset after the last committed record.
        committed: the next one that the group reads; None where it committed nothing yet.
        lag: how many offsets lie between them, of those that are still there; None where nothing is committed.
    """

    partition: int
    end: int
    committed: int | None
    lag: int | None


def lags(admin: AdminClient, group_id: str, partitions: Iterable[Partition]) -> list[PartitionLag]:
    """How far a group is behind on each of *partitions*. It is not joined, and nothing is committed.

    Args:
        admin: a client that is polled.

    Raises:
        BrokerUnavailable: the brokers do not answer.
        Denied: they do not let this client ask.
    """
    asked = list(partitions)
    try:
        committed = _committed(admin, group_id, asked)
        beginnings, ends = _beginnings(admin, asked), _ends(admin, asked)
    except KafkaException as error:
        admin.poll(0)  # raises Denied where that is why
        stop_if_denied(error.args[0])
        raise BrokerUnavailable("asking for offsets", ANSWER_S, error.args[0].str()) from error
    found = []
    for at in asked:
        next_read = committed[at] if committed[at] >= 0 else None
        # What retention has deleted is not waited for any more.
        lag = None if next_read is None else max(0, ends[at] - max(next_read, beginnings[at]))
        found.append(PartitionLag(at[1], ends[at], next_read, lag))
    return found


def as_objects(found: Sequence[PartitionLag], *, topic: str, group_id: str) -> list[dict[str, Any]]:
    """What `emotag lag --json` says: of each partition, and last of all of them."""
    objects: list[dict[str, Any]] = [
        {"topic": topic, "partition": at.partition, "end": at.end, "committed": at.committed, "lag": at.lag}
        for at in found
    ]
    total, uncommitted = _sum(found)
    return [*objects, {"topic": topic, "group": group_id, "lag": total, "uncommitted_partitions": uncommitted}]


def as_lines(found: Sequence[PartitionLag], *, topic: str, group_id: str) -> list[str]:
    """The same for people."""
    lines = [f"{topic} for the group {group_id}", f"{'partition':>9}  {'end':>12}  {'committed':>12}  {'lag':>12}"]
    lines += [f"{at.partition:>9}  {at.end:>12}  {_or_dash(at.committed):>12}  {_or_dash(at.lag):>12}" for at in found]
    total, uncommitted = _sum(found)
    lines.append(f"{'all':>9}  {'':>12}  {'':>12}  {_or_dash(total):>12}")
    if total is None:
        lines.append("the group has committed nothing yet")
    elif uncommitted:
        lines.append(f"on {uncommitted} partitions the group has committed nothing yet; they are not in the sum")
    return lines


def _sum(found: Sequence[PartitionLag]) -> tuple[int | None, int]:
    """Of what is known, None where nothing is; and of how many partitions nothing is."""
    known = [at.lag for at in found if at.lag is not None]
    return sum(known) if known else None, len(found) - len(known)


def _or_dash(number: int | None) -> str:
    return "–" if number is None else str(number)


def _committed(admin: AdminClient, group_id: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """What a group reads next; below 0 where it committed nothing."""
    asked = ConsumerGroupTopicPartitions(group_id, [TopicPartition(*partition) for partition in partitions])
    (answer,) = admin.list_consumer_group_offsets([asked], request_timeout=ANSWER_S).values()
    found = answer.result().topic_partitions
    for at in found:
        if at.error is not None:
            raise KafkaException(at.error)
    return {(at.topic, at.partition): at.offset for at in found}


def _beginnings(admin: AdminClient, partitions: Iterable[Partition]) -> dict[Partition, int]:
    return _offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _ends(admin: AdminClient, partitions: Iterable[Partition]) -> dict[Partition, int]:
    return _offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]


def _offsets(admin: AdminClient, partitions: Iterable[Partition], which: OffsetSpec) -> dict[Partition, int]:
    answers = admin.list_offsets(
        {TopicPartition(*partition): which for partition in partitions},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=ANSWER_S,
    )
    return {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}
