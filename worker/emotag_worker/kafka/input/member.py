"""This worker as a member of its consumer group, as it was when it read a batch.

Kafka fences replaced workers by this metadata: a member id and a generation (KIP-447). It is taken at the poll of a
batch. Batches of one transaction are of one membership: before partitions are revoked everything is committed, and when
they are lost everything is dropped. So the newest batch's metadata serves for all of them.

The generation also grows while this worker keeps its partitions: when another member joins or leaves, in the background
and between two polls. An offset with the old generation would be refused, and each rebalance would abort a transaction
of each member. So the sink sends the current generation, as long as it is of the membership that read the batch:

- Classic groups, cooperative or eager: a member that the group removed gets another id when it joins again. If the id
  is the same, the generations since are those of one membership, in which partitions only go to other members after the
  revocation that commits the batch.
- KIP-848: the id stays as long as the process. But partitions go to other members only when this member has
  acknowledged their revocation, which commits the batch, or after it was fenced. A fenced client reports the epoch 0,
  which the brokers refuse, and joins again only when `lost` has been handled, which drops the batch.

Brokers accept the metadata of a client that never joined, if the group has no members. A client that was removed from
its group can report this metadata. The worker never sends it.
"""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer

from emotag_worker.errors import BatchAborted
from emotag_worker.kafka.offsets import build_positions, commit_offsets
from emotag_worker.wire.record import Partition


class Member:
    """The membership at one poll.

    Args:
        outside: the metadata of the client before it joined the group.
    """

    def __init__(self, consumer: Consumer, *, outside: Any) -> None:
        self._consumer = consumer
        self._outside = outside
        self._id, self._metadata = self._read()

    def group_metadata(self) -> Any:
        """Return the metadata with which brokers accept the batch only if its partitions are still of this member.

        Raises:
            BatchAborted: the group had removed this worker before the poll.
        """
        member_id, metadata = self._read()
        if member_id != self._id or metadata == self._outside:
            metadata = self._metadata  # the brokers refuse it
        if metadata == self._outside:
            raise BatchAborted("the group removed this worker before it wrote the records that it had read")
        return metadata

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit outside a transaction; as `commit_offsets`. The client adds its current generation itself."""
        commit_offsets(self._consumer, build_positions(offsets))

    def _read(self) -> tuple[str | None, Any]:
        # In this order: a client that is removed between the two calls has no id then, and the metadata is not used.
        metadata = self._consumer.consumer_group_metadata()
        return self._consumer.memberid(), metadata
