"""The state of dead letters: `open` until a replay has put them back, then `done`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_schemas.dead_letter import DeadLetterHeaders
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.properties import name_replay_group
from emotag_worker.kafka.topics import request
from emotag_worker.settings import Settings

from .letters import DeadLetter
from .replay_progress import ReplayProgress

REMEMBERED = timedelta(days=7)
"""Time that brokers keep the offsets of a group without members after its last commit (offsets.retention.minutes). If
the offsets are gone, all records that were put back before are older than this."""

State = Literal["open", "done"]


def is_own(why: DeadLetterHeaders, settings: Settings) -> bool:
    """Return True if the dead letter belongs to this input topic and group.

    Two deployments may share a dead-letter topic. Each puts back its own, or both would put back all.
    """
    return (why.topic, why.consumer_group) == (settings.input.topic, settings.kafka.group_id)


def may_be_forgotten(why: DeadLetterHeaders) -> bool:
    """Return True if the brokers may have deleted the progress of a replay that put the dead letter back."""
    return why.failed_at < datetime.now(UTC) - REMEMBERED


def fetch_progress(admin: AdminClient, settings: Settings, partitions: Iterable[int]) -> dict[int, ReplayProgress]:
    """Return the stored progress of replays, for each partition of the dead-letter topic that has one.

    Args:
        admin: created with `polled=True`.

    Raises:
        ProgressUnreadable: emotag did not write the note of an offset.
        BrokerUnavailable: the brokers do not answer.
        Denied: the brokers refuse this client.
    """
    group = name_replay_group(settings)
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(settings.dlq.topic, each) for each in partitions])

    def fetch() -> list[TopicPartition]:
        (answer,) = admin.list_consumer_group_offsets([asked], request_timeout=get_connection(admin).answer_s).values()
        found: list[TopicPartition] = answer.result().topic_partitions
        for at in found:
            if at.error is not None:
                raise KafkaException(at.error)
        return found

    found = request(admin, "reading the progress of replays", fetch, topic=f"the group {group}")
    return {at.partition: ReplayProgress.parse(at.offset, at.metadata, at.partition) for at in found if at.offset >= 0}


def find_state(letter: DeadLetter, progress: Mapping[int, ReplayProgress], settings: Settings) -> State | None:
    """Return the state of a dead letter.

    Returns:
        `done` if a replay has put it back, or skipped it for good; None if another program, input topic or group has
        written it, or if the brokers may have deleted the progress.
    """
    if letter.why is None or not is_own(letter.why, settings):
        return None
    stored = progress.get(letter.record.partition)
    if stored is None:
        return None if may_be_forgotten(letter.why) else "open"
    return "done" if stored.is_settled(letter.reason, letter.record.offset) else "open"
