"""Find the records that wait to be read and whose answers a topic would delete at once, because they are too old."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from emotag_worker.errors import RequestRefused, StopWorker
from emotag_worker.wire.record import Partition

from .offsets import OffsetReader, PartitionOffsets

REQUEST_S = 5.0
"""Longest single request at the start. Answers normally take milliseconds."""


@dataclass(frozen=True)
class ShortRetention:
    """A topic that keeps records for less time than the age of some input records that wait.

    Attributes:
        records: the number of these input records.
        retention_s: the time for which the topic keeps a record, from the record's timestamp on.
    """

    topic: str
    records: int
    retention_s: float


def find_short_retentions(
    admin: AdminClient, reader: OffsetReader, inputs: Iterable[Partition], topics: Iterable[str]
) -> list[ShortRetention]:
    """Return the topics that would delete answers with the timestamps of their input.

    A group that has committed nothing reads from the beginning. An empty list can also mean that the brokers do not
    permit the question: the warning is worth no permission, and no delay.

    Args:
        admin: created with `polled=True`.
        topics: those whose records have the timestamp of their input record.
    """
    asked = list(inputs)
    try:
        retentions_ms = {topic: ms for topic in topics if (ms := fetch_retention_ms(admin, topic)) is not None}
        if not retentions_ms:
            return []
        waiting = reader.repeat("reading the offsets of the group", lambda: reader.fetch_all(asked))
        found = []
        for topic, retention_ms in retentions_ms.items():
            young = reader.fetch_at(asked, round(time.time() * 1000) - retention_ms)
            found.append(ShortRetention(topic, count_old(waiting, young), retention_ms / 1000))
    except (KafkaException, StopWorker, RequestRefused):
        return []
    return [each for each in found if each.records]


def count_old(waiting: Mapping[Partition, PartitionOffsets], young: Mapping[Partition, int]) -> int:
    """Return the number of waiting records before the first young one.

    Args:
        young: the offset of the first young record of each partition; the end if the partition has no young record.
    """
    return sum(min(at.lag, max(0, young[partition] - at.next_read)) for partition, at in waiting.items())


def fetch_retention_ms(admin: AdminClient, topic: str) -> int | None:
    """Return how long *topic* keeps a record after the record's timestamp; None if it does not delete by timestamp.

    Raises:
        KafkaException: the brokers do not answer, or refuse.
    """
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)], request_timeout=REQUEST_S).values()
    config = {name: str(entry.value) for name, entry in answer.result().items() if entry.value is not None}
    # Some services that speak Kafka's protocol do not report every setting.
    retention_ms = int(config.get("retention.ms", -1))
    by_timestamp = "delete" in config.get("cleanup.policy", "") and config.get("message.timestamp.type") == "CreateTime"
    return retention_ms if by_timestamp and retention_ms >= 0 else None
