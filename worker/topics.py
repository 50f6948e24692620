"""The three topics: created with the limits they need, and looked for."""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from .broker_errors import ABSENT, stop_if_denied
from .errors import BrokerUnavailable, EmotagError
from .settings import Settings

HEADROOM_BYTES = 256 * 1024
"""Room for what is written beside a copied value: key, headers, emotions."""

WAIT_S = 30.0
PROBE_S = 1.0
"""How often brokers are asked whether they are there, and so how late a refusal shows."""


ANSWER_S = 10.0
"""Longest wait for the brokers' answer to somebody at a terminal."""


class TopicAbsent(EmotagError):
    def __init__(self, topic: str) -> None:
        super().__init__(f"no such topic: {topic}; is it the name? if it is, create it with: emotag topics create")


class TopicsFailed(EmotagError):
    """Topics could not be created, and why."""


def planned(settings: Settings, *, partitions: int, replication: int) -> list[NewTopic]:
    """Input, output and dead letters. What comes out is what came in and some more, so their topics take more.

    The input's topic takes more than the worker does, so that a value over the limit is dead-lettered, not refused.

    Args:
        partitions: of each; at most as many workers can share the input.
        replication: copies of each; -1 takes the brokers' default.
    """
    taken_bytes = settings.input.max_value_bytes + HEADROOM_BYTES
    limits = {
        settings.input.topic: taken_bytes,
        settings.output.topic: taken_bytes + HEADROOM_BYTES,
        settings.dlq.topic: taken_bytes + HEADROOM_BYTES,
    }
    return [
        NewTopic(
            name,
            num_partitions=partitions,
            replication_factor=replication,
            config={"max.message.bytes": str(limit_bytes)},
        )
        for name, limit_bytes in limits.items()
    ]


def create(admin: AdminClient, topics: list[NewTopic], *, told: Callable[[str, str], Any]) -> None:
    """Create those that do not exist; a topic that does is left as it is.

    Args:
        told: called with each topic's name and `created`, or `exists already` and with how many partitions.

    Raises:
        TopicsFailed: the brokers cannot be reached or refuse.
        Denied: they do not let this client in, where it was made to say so.
    """
    _await_brokers(admin)
    for name, future in admin.create_topics(topics, operation_timeout=WAIT_S, request_timeout=WAIT_S).items():
        try:
            future.result()
            told(name, "created")
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsFailed(f"{name} could not be created: {error.args[0].str()}") from error
            there = len(admin.list_topics(name, timeout=WAIT_S).topics[name].partitions)
            told(name, f"exists already, with {there} partitions")


def partitions(consumer: Consumer, topic: str) -> list[int]:
    """The numbers of a topic's partitions. (A consumer asks: another client would create what it asks for.)

    Raises:
        TopicAbsent: there is no such topic.
        BrokerUnavailable: no broker answers.
        Denied: the brokers do not let this client in.
    """
    give_up_at = time.monotonic() + ANSWER_S
    while True:
        try:
            found = consumer.list_topics(topic, timeout=PROBE_S).topics[topic]
            error, trouble = found.error, found.error
        except KafkaException as raised:
            consumer.poll(0)  # raises Denied where that is why
            error, trouble = None, raised.args[0]
        if trouble is None:
            return sorted(found.partitions)
        if error is not None:
            stop_if_denied(error, of=topic)
            if error.code() in ABSENT:
                raise TopicAbsent(topic)
        # A topic that is new has no leader for a moment, and says so.
        if time.monotonic() > give_up_at:
            raise BrokerUnavailable(f"looking for {topic}", ANSWER_S, trouble.str())
        time.sleep(0.1)


def _await_brokers(admin: AdminClient) -> None:
    """See that one answers before anything is asked of them: a request that is under way cannot be taken back."""
    give_up_at = time.monotonic() + WAIT_S
    while True:
        try:
            admin.list_topics(timeout=PROBE_S)
        except KafkaException as error:
            admin.poll(0)  # a refusal is heard here and nowhere else
            if time.monotonic() > give_up_at:
                raise TopicsFailed(f"no broker answers: {error.args[0].str()}") from error
        else:
            return
