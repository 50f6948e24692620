"""Show the offsets of a group, and set them: `emotag offsets`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_worker.errors import GroupInUse
from emotag_worker.settings.times import to_ms
from emotag_worker.wire.record import Partition

from .offsets import REQUEST_S, OffsetReader, PartitionOffsets
from .topics import request

Target = Literal["earliest", "latest"] | datetime
"""The new position of a group: the first record, the end, or the first record of this time or later."""


class GroupOffsets:
    """The offsets of one group in one topic.

    Args:
        reader: opened with `polled=True`.
        admin: created with `polled=True`. Consumers can neither list the members of a group nor set its offsets.

    Every method can raise BrokerUnavailable, Denied or RequestRefused.
    """

    def __init__(
        self, reader: OffsetReader, admin: AdminClient, group_id: str, partitions: Sequence[Partition]
    ) -> None:
        self._reader = reader
        self._admin = admin
        self._group_id = group_id
        self._partitions = partitions

    def read(self) -> dict[Partition, PartitionOffsets]:
        """Return the offsets of every partition."""
        find = partial(self._reader.fetch_all, self._partitions)
        return self._reader.repeat(f"reading the offsets of {self._group_id}", find)

    def plan(self, target: Target) -> dict[int, int]:
        """Return the offset of each partition after a reset."""
        return {partition: offset for (_, partition), offset in self._find(target).items()}

    def reset(self, offsets: Mapping[int, int]) -> None:
        """Commit these offsets for the group.

        Raises:
            GroupInUse: the group has members, which would overwrite the offsets.
        """
        self.require_no_members()
        topic = self._partitions[0][0]
        positions = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        request(self._admin, f"setting the offsets of {self._group_id}", partial(self._alter, positions))

    def require_no_members(self) -> None:
        """Raise GroupInUse if the group has members."""
        members = request(self._admin, f"looking for members of {self._group_id}", self._count_members)
        if members:
            raise GroupInUse(self._group_id, members)

    def _find(self, target: Target) -> dict[Partition, int]:
        match target:
            case "earliest":
                find = partial(self._reader.fetch_beginnings, self._partitions)
            case "latest":
                find = partial(self._reader.fetch_ends, self._partitions)
            case datetime():
                find = partial(self._reader.fetch_at, self._partitions, to_ms(target))
        return self._reader.repeat("reading the offsets of the partitions", find)

    def _count_members(self) -> int:
        (answer,) = self._admin.describe_consumer_groups([self._group_id], request_timeout=REQUEST_S).values()
        try:
            return len(answer.result().members)
        except KafkaException as raised:
            if raised.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    def _alter(self, positions: list[TopicPartition]) -> None:
        altered = [ConsumerGroupTopicPartitions(self._group_id, positions)]
        (answer,) = self._admin.alter_consumer_group_offsets(altered, request_timeout=REQUEST_S).values()
        for at in answer.result().topic_partitions:
            if at.error is not None:
                raise KafkaException(at.error)


def explain_state(at: PartitionOffsets) -> str:
    """Return why a worker will not simply continue at the committed offset; empty if it will."""
    if at.committed is None:
        return "none committed"
    if at.committed < at.beginning:
        return f"{at.beginning - at.committed} deleted unread"
    return "after the end: truncated" if at.committed > at.end else ""


def render_objects(
    found: Mapping[Partition, PartitionOffsets], planned: Mapping[int, int], topic: str
) -> list[dict[str, Any]]:
    """Return the objects of `--json`, one for each partition.

    Args:
        planned: the offsets after a reset; empty without one.
    """
    return [
        {
            "topic": topic,
            "partition": partition,
            "beginning": at.beginning,
            "committed": at.committed,
            "end": at.end,
            "lag": at.lag,
            **({"reset_to": planned[partition]} if planned else {}),
        }
        for (_, partition), at in found.items()
    ]


def render_lines(found: Mapping[Partition, PartitionOffsets], planned: Mapping[int, int], title: str) -> list[str]:
    """Return the lines for people; *planned* as for `render_objects`."""
    columns = ["partition", "beginning", "committed", "end", "lag", *(["reset to"] if planned else [])]
    lines = [title, "  ".join(f"{name:>12}" for name in columns)]
    for (_, partition), at in found.items():
        values = [partition, at.beginning, "–" if at.committed is None else at.committed, at.end, at.lag]
        values += [planned[partition]] if planned else []
        state = explain_state(at)
        lines.append("  ".join(f"{value:>12}" for value in values) + (f"  {state}" if state else ""))
    return lines


def describe_plan(found: Mapping[Partition, PartitionOffsets], planned: Mapping[int, int]) -> str:
    """Return how many records a reset tags again, and how many it skips."""
    now = {partition: at.next_read for (_, partition), at in found.items()}
    again = sum(max(0, now[partition] - offset) for partition, offset in planned.items())
    skipped = sum(max(0, offset - now[partition]) for partition, offset in planned.items())
    return f"{again} offsets are read again, {skipped} are skipped"
