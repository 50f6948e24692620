"""The state of dead letters, from the progress that an earlier replay stored."""

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_schemas.dead_letter import DeadLetterHeaders
from emotag_worker.dlq.letters import DeadLetter, read_letters
from emotag_worker.dlq.replay_progress import ReplayProgress
from emotag_worker.dlq.states import fetch_progress, find_state, is_own
from emotag_worker.errors import Denied, NotJson, ProgressUnreadable
from emotag_worker.settings import loader
from emotag_worker.wire.record import Headers
from tests.unit.worker.kafka.scripted import Connected

from .scripted import NEVER, DeadLetters, Letter, dead_letter_headers

SETTINGS = loader.load(flags={"dlq": {"topic": "texts.dlq"}, "kafka": {"group_id": "emotag"}})
OLD = datetime.now(UTC) - timedelta(days=8)


class Brokers(Connected):
    """Brokers that store the progress of partitions, or refuse the group."""

    def __init__(self, stored: Mapping[int, tuple[int, str]], failure: KafkaError | None = None) -> None:
        self.groups: list[str] = []
        self._stored = stored
        self._failure = failure

    def list_consumer_group_offsets(self, asked: list[ConsumerGroupTopicPartitions], **_: Any) -> dict[str, Any]:
        self.groups.append(asked[0].group_id)
        answer: Future[Any] = Future()
        found = [
            TopicPartition(at.topic, at.partition, *self._stored.get(at.partition, (NEVER, "")))
            for at in asked[0].topic_partitions or ()
        ]
        if self._failure:
            answer.set_exception(KafkaException(self._failure))
        else:
            answer.set_result(SimpleNamespace(topic_partitions=found))
        return {"": answer}

    def poll(self, _: float) -> None:
        pass


def fetch(brokers: Brokers) -> dict[int, ReplayProgress]:
    return fetch_progress(cast("AdminClient", brokers), SETTINGS, [0, 1])


def one(headers: Headers, offset: int = 0) -> DeadLetter:
    topic = DeadLetters([Letter(offset, headers)], end=offset + 1)
    (letter,) = read_letters(cast("Consumer", topic), "texts.dlq", {0: (0, topic.end)}, within_s=0.01)
    return letter


def test_the_progress_is_that_of_the_group_of_replays() -> None:
    brokers = Brokers({1: (7, '{"NotJson":9}')})
    assert {1: ReplayProgress(7, {"NotJson": 9})} == fetch(brokers)
    assert ["emotag-dlq-replay"] == brokers.groups


def test_brokers_that_refuse_the_group_end_the_command() -> None:
    with pytest.raises(Denied, match="emotag-dlq-replay"):
        fetch(Brokers({}, KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)))


def test_a_note_of_somebody_else_names_the_remedy() -> None:
    with pytest.raises(ProgressUnreadable, match="emotag dlq replay --from"):
        fetch(Brokers({0: (7, "no JSON")}))


@pytest.mark.parametrize(
    ("headers", "offset", "progress", "state"),
    [
        (dead_letter_headers(), 3, {}, "open"),
        (dead_letter_headers(), 3, {0: ReplayProgress(3)}, "open"),
        (dead_letter_headers(), 2, {0: ReplayProgress(3)}, "done"),
        (dead_letter_headers(NotJson("no")), 5, {0: ReplayProgress(3, {"NotJson": 6})}, "done"),
        (dead_letter_headers(), 5, {0: ReplayProgress(3, {"NotJson": 6})}, "open"),
        (dead_letter_headers(failed_at=OLD), 3, {0: ReplayProgress(3)}, "open"),
        (dead_letter_headers(failed_at=OLD), 3, {}, None),
        (dead_letter_headers(group="another"), 2, {0: ReplayProgress(3)}, None),
        ((), 2, {0: ReplayProgress(3)}, None),
    ],
)
def test_a_dead_letter_is_done_once_a_replay_has_passed_it(
    headers: Headers, offset: int, progress: dict[int, ReplayProgress], state: str | None
) -> None:
    """The state is unknown for other deployments and programs, and if the brokers may have forgotten the progress."""
    assert state == find_state(one(headers, offset), progress, SETTINGS)


def test_only_dead_letters_of_this_topic_and_group_are_own() -> None:
    parsed = DeadLetterHeaders.from_headers(dead_letter_headers())
    assert is_own(parsed, SETTINGS)
    assert not is_own(parsed, loader.load(flags={"input": {"topic": "other"}}))
