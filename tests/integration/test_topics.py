"""New topics on a real broker."""

import contextlib
import uuid

import pytest

from emotag_worker.errors import TopicMissing
from emotag_worker.kafka import clients, topics
from emotag_worker.settings import Settings, loader
from emotag_worker.terminal.tail import follow


@pytest.fixture
def names(bootstrap_servers: str) -> Settings:
    """Settings with topics that do not exist yet."""
    unique = uuid.uuid4().hex[:8]
    return loader.load(
        flags={
            "kafka": {"bootstrap_servers": bootstrap_servers, "group_id": f"group-{unique}"},
            **{part: {"topic": f"{part}-{unique}"} for part in ("input", "output", "dlq")},
        }
    )


@pytest.mark.parametrize("turn", range(3))
def test_tail_follows_a_topic_that_was_created_a_moment_ago(names: Settings, turn: int) -> None:
    """The topic has no leader at first: `emotag topics create && emotag tail` must wait."""
    created: list[tuple[str, str]] = []
    admin = clients.create_admin(names, polled=True)
    plan = topics.plan_topics(names, partitions=8, replication=1)
    topics.create_topics(admin, plan, report=lambda name, how: created.append((name, how)))
    with contextlib.closing(clients.create_reader(names)) as consumer:
        assert [None] == list(follow(consumer, [names.output.topic], from_beginning=True, idle_s=0.1))
        assert 8 == len(consumer.assignment())
    assert {
        (name, "created (partitions: 8)") for name in (names.input.topic, names.output.topic, names.dlq.topic)
    } == set(created)
    topics.create_topics(admin, plan, report=lambda name, how: created.append((name, how)))
    assert (names.input.topic, "exists already (partitions: 8)") in created
    admin.delete_topics([topic.topic for topic in plan])


def test_every_missing_topic_is_named_at_once(names: Settings) -> None:
    missing = [names.input.topic, names.dlq.topic]
    with (
        contextlib.closing(clients.create_reader(names)) as consumer,
        pytest.raises(TopicMissing, match=".*".join(missing)),
    ):
        topics.await_topics(consumer, missing)
