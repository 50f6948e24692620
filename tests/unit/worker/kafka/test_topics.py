"""Plans for topics, and waiting for them with a client that plays a script."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from emotag_worker.errors import BrokerUnavailable, Denied, RequestRefused, TopicMissing
from emotag_worker.kafka import topics
from emotag_worker.kafka.connection import Connection
from emotag_worker.kafka.topics import await_topics, count_partitions, create_topics, plan_topics, request
from emotag_worker.settings import loader

from .scripted import Connected

UNREACHABLE = KafkaException(KafkaError(KafkaError._TRANSPORT, "connection refused"))
NO_LEADER = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
UNKNOWN = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


@dataclass
class Client(Connected):
    """Returns one answer for each request; the last one again and again.

    An answer is an error of the request, an error of the topic, or None.
    """

    answers: list[KafkaException | KafkaError | None]
    asked: int = 0
    polls: int = 0

    def list_topics(self, topic: str = "", *, timeout: float) -> Any:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaException):
            raise answer
        return SimpleNamespace(topics={topic: SimpleNamespace(error=answer, partitions={2: "", 0: "", 1: ""})})

    def poll(self, timeout_s: float) -> None:
        self.polls += 1


def wait(client: Client, names: Sequence[str] = ("texts",), **keywords: Any) -> dict[str, list[int]]:
    return await_topics(cast("Consumer", client), names, **keywords)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "RETRY_S", 0.001)
    monkeypatch.setattr(topics, "UNKNOWN_S", 0.05)
    monkeypatch.setattr(topics, "CREATE_S", 0.05)


def test_the_partitions_of_each_topic_are_returned() -> None:
    assert {"a": [0, 1, 2], "b": [0, 1, 2]} == wait(Client([None]), ["a", "b"])


def test_without_topics_one_answer_of_a_broker_is_enough() -> None:
    client = Client([UNREACHABLE, None])
    assert {} == wait(client, [])
    assert (2, 1) == (client.asked, client.polls)


def test_the_partitions_of_a_topic_are_counted_again_until_it_has_grown() -> None:
    client = Client([UNREACHABLE, UNKNOWN, None])
    assert 3 == count_partitions(cast("Producer", client), "texts", 2, within_s=10)
    assert 3 == client.asked
    assert 3 == count_partitions(cast("Producer", client), "texts", 3, within_s=10)
    assert client.asked > 4


def test_brokers_that_do_not_count_partitions_are_given_up() -> None:
    with pytest.raises(BrokerUnavailable, match=r"counting the partitions of texts after 0\.05 s"):
        count_partitions(cast("Producer", Client([UNREACHABLE])), "texts", 2, within_s=0.05)


@pytest.mark.parametrize("answer", [UNREACHABLE, NO_LEADER, UNKNOWN], ids=["unreachable", "no leader", "unknown"])
def test_a_topic_that_appears_late_is_waited_for(answer: KafkaException | KafkaError) -> None:
    assert {"texts": [0, 1, 2]} == wait(Client([answer, answer, None]))


def test_all_missing_topics_are_named() -> None:
    with pytest.raises(TopicMissing, match="no such topic: a, b, on Kafka at localhost:9092;"):
        wait(Client([UNKNOWN]), ["a", "b"])


def test_a_topic_that_stays_without_a_leader_is_given_up() -> None:
    with pytest.raises(BrokerUnavailable, match=r"Leader not available \(gave up looking for texts after 0\.1 s\)"):
        wait(Client([NO_LEADER]), within_s=0.1)


def test_a_refusal_is_not_waited_for() -> None:
    client = Client([KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)])
    with pytest.raises(Denied, match="of texts"):
        wait(client)
    assert 1 == client.asked


def test_the_time_for_commands_is_the_default() -> None:
    client = Client([UNREACHABLE])
    client.connection = Connection(loader.load(flags={"kafka": {"broker_timeout_s": 0.1}}))
    with pytest.raises(BrokerUnavailable, match=r"gave up looking for texts after 0\.1 s"):
        wait(client)


def test_an_error_of_the_listener_ends_the_wait() -> None:
    def listen() -> None:
        raise Denied("no", "it")

    with pytest.raises(Denied):
        wait(Client([UNREACHABLE]), listen=listen)


def test_a_request_is_repeated_until_it_is_answered() -> None:
    answers = iter([KafkaException(NO_LEADER), 7])

    def call() -> object:
        answer = next(answers)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    assert 7 == request(cast("Consumer", Client([None])), "testing", call)


def test_a_request_that_the_brokers_will_not_answer_is_not_repeated() -> None:
    asked = 0

    def call() -> None:
        nonlocal asked
        asked += 1
        raise KafkaException(KafkaError(KafkaError.INVALID_GROUP_ID))

    with pytest.raises(RequestRefused, match=r"testing failed on Kafka at localhost:9092: Broker: Invalid group\.id"):
        request(cast("Consumer", Client([None])), "testing", call)
    assert 1 == asked


def test_the_wait_ends_when_it_is_stopped() -> None:
    stop = Event()
    client = Client([UNKNOWN])

    listen = stop.set

    assert {} == wait(client, ["a", "b"], stop=stop, listen=listen)
    assert 1 == client.asked


def test_output_and_dead_letters_take_more_than_the_input() -> None:
    """A result or dead letter is as large as its input and its headers. A dead letter may also compress less."""
    chosen = loader.load(flags={"input": {"max_value_bytes": 1000}})
    plan = plan_topics(chosen, partitions=3, replication=2)
    assert [chosen.input.topic, chosen.output.topic, chosen.dlq.topic] == [topic.topic for topic in plan]
    assert {(3, 2)} == {(topic.num_partitions, topic.replication_factor) for topic in plan}
    taken, result, dead = (int((topic.config or {})["max.message.bytes"]) for topic in plan)
    assert 1000 < taken < result < dead == 2 * taken


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._TIMED_OUT, BrokerUnavailable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Denied),
        (KafkaError.NOT_CONTROLLER, BrokerUnavailable),
        (KafkaError.INVALID_REPLICATION_FACTOR, RequestRefused),
    ],
)
def test_a_topic_that_is_not_created_has_the_error_of_its_cause(code: int, expected: type[Exception]) -> None:
    class Admin(Client):
        def create_topics(self, planned: Sequence[NewTopic], **_: float) -> dict[str, Future[None]]:
            done: Future[None] = Future()
            done.set_exception(KafkaException(KafkaError(code)))
            return {topic.topic: done for topic in planned}

    with pytest.raises(expected, match="texts"):
        create_topics(cast("AdminClient", Admin([None])), [NewTopic("texts", 1)], report=lambda *_: None)


@pytest.mark.parametrize(
    ("existing", "requested", "report"),
    [
        (None, 1, "created (partitions: 1)"),
        (4, 4, "exists already (partitions: 4)"),
        (8, 4, "exists already (partitions: 8 instead of the 4 requested); Kafka cannot reduce the number"),
        (
            2,
            4,
            "exists already (partitions: 2 instead of the 4 requested); to add partitions: kafka-topics.sh "
            "--bootstrap-server localhost:9092 --alter --topic texts --partitions 4",
        ),
    ],
)
def test_a_topic_that_exists_is_compared_with_the_one_requested(
    existing: int | None, requested: int, report: str
) -> None:
    class Admin(Client):
        def create_topics(self, planned: Sequence[NewTopic], **_: float) -> dict[str, Future[None]]:
            done: Future[None] = Future()
            if existing is None:
                done.set_result(None)
            else:
                done.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS)))
            return {topic.topic: done for topic in planned}

        def list_topics(self, topic: str = "", *, timeout: float) -> Any:
            return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=range(existing or 0))})

    reported: dict[str, str] = {}
    create_topics(
        cast("AdminClient", Admin([None])), [NewTopic("texts", requested)], report=lambda *each: reported.update([each])
    )
    assert {"texts": report} == reported
