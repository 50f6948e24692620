"""The three topics: create them, and wait until the brokers know them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic  # type: ignore[attr-defined]

from emotag_worker.errors import RequestRefused
from emotag_worker.settings import Settings

from .broker_errors import NO_SUCH_TOPIC, is_temporary, stop_if_denied
from .connection import get_connection

Answer = TypeVar("Answer")

HEADROOM_BYTES = 256 * 1024
"""Room for what a result adds to a copied value: key, headers, emotions."""

CREATE_S = 30.0
"""Longest wait for brokers that create topics. Brokers that do not answer at all are given up before."""

PROBE_S = 1.0
"""Longest single request. The client's callbacks run between two requests, so a refusal is noticed this late."""

RETRY_S = 0.1
"""Pause between two requests: a new topic has no leader for a moment, and the brokers report that at once."""

UNKNOWN_S = 2.0
"""Time after which a topic or a partition that a broker does not know counts as missing: brokers learn of new ones a
moment after the request that creates them."""


def plan_topics(settings: Settings, *, partitions: int, replication: int) -> list[NewTopic]:
    """Return the input, output and dead-letter topics. A result is larger than its input, so its topic accepts more.

    The input topic accepts larger values than the worker does: the worker dead-letters a value over its limit, where
    the broker would refuse it.

    Args:
        partitions: of each topic; the number of workers that can share the input.
        replication: copies of each topic; -1 uses the brokers' default.
    """
    input_bytes = settings.input.max_value_bytes + HEADROOM_BYTES
    # Limits count compressed bytes, and a producer may compress more than the worker does.
    limits = {
        settings.input.topic: input_bytes,
        settings.output.topic: input_bytes + HEADROOM_BYTES,
        settings.dlq.topic: 2 * input_bytes,
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


def create_topics(admin: AdminClient, topics: list[NewTopic], *, report: Callable[[str, str], Any]) -> None:
    """Create the topics that do not exist; topics that exist stay as they are.

    Args:
        report: called with the name of each topic, and `created (partitions: N)` or `exists already (…`.

    Raises:
        RequestRefused: the brokers do not create a topic.
        BrokerUnavailable: no broker answers, or none creates a topic in time.
        Denied: the brokers refuse this client, and *admin* was created with `polled=True`.
    """
    await_topics(admin, [])  # first, because a request that has been sent cannot be taken back
    for topic in topics:
        name, requested = topic.topic, topic.num_partitions
        if request(admin, f"creating {name}", partial(_create, admin, topic), topic=name, within_s=CREATE_S):
            report(name, f"created (partitions: {requested})")
        else:
            existing = len(admin.list_topics(name, timeout=CREATE_S).topics[name].partitions)
            report(name, _compare(name, existing, requested, get_connection(admin).servers))


def await_topics(
    client: Consumer | AdminClient,
    topics: Sequence[str],
    *,
    within_s: float | None = None,
    stop: Event | None = None,
    listen: Callable[[], Any] | None = None,
) -> dict[str, list[int]]:
    """Wait until a broker answers and every topic has leaders; return the partition numbers of each topic.

    Args:
        client: a Consumer, unless *topics* is empty: a request of another client creates the topic on many clusters.
        within_s: longest wait; by default the time for commands, `Connection.answer_s`.
        stop: ends the wait early; the result is then incomplete.
        listen: called after each failed request: runs the client's callbacks, and raises what they received. By
            default it polls the client, which raises Denied for the clients of `clients.py`.

    Raises:
        TopicMissing: some topics do not exist; names all of them.
        BrokerUnavailable: no broker answered, or a topic got no leader.
        Denied: the brokers refuse this client.
    """
    began = time.monotonic()
    connection = get_connection(client)
    within_s = connection.answer_s if within_s is None else within_s
    stop = stop or Event()
    found: dict[str, list[int]] = {}
    missing = []
    for topic in topics or [""]:
        while not stop.is_set():
            answer = _request_metadata(client, topic)
            if not isinstance(answer, KafkaError):
                if topic:
                    found[topic] = sorted(answer.topics[topic].partitions)
                break
            if listen is None:
                client.poll(0)
            else:
                listen()
            stop_if_denied(answer, topic=topic)
            waited_s = time.monotonic() - began
            if answer.code() in NO_SUCH_TOPIC and waited_s >= min(UNKNOWN_S, within_s):
                missing.append(topic)
                break
            if waited_s > within_s:
                doing = f"looking for {topic}" if topic else "looking for brokers"
                raise connection.explain_outage(doing, within_s, answer)
            stop.wait(RETRY_S)
    if missing and not stop.is_set():
        raise connection.explain_missing(missing, _list_names(client))
    return found


def count_partitions(producer: Producer, topic: str, above: int, *, within_s: float) -> int:
    """Return how many partitions a topic has now; *producer* can then write to all of them.

    Args:
        above: the expected number is above this one. A broker may learn of new partitions a moment later.

    Raises:
        BrokerUnavailable: no broker answered in time.
        Denied: the brokers refuse this client.
    """
    began = time.monotonic()
    while True:
        answer = _request_metadata(producer, topic)
        waited_s = time.monotonic() - began
        if isinstance(answer, KafkaError):
            stop_if_denied(answer, topic=topic)
            if waited_s > within_s:
                raise get_connection(producer).explain_outage(f"counting the partitions of {topic}", within_s, answer)
        else:
            count = len(answer.topics[topic].partitions)
            if count > above or waited_s > UNKNOWN_S:
                return count
        time.sleep(RETRY_S)


def request(
    client: Consumer | AdminClient,
    doing: str,
    call: Callable[[], Answer],
    *,
    topic: str = "",
    within_s: float | None = None,
) -> Answer:
    """Repeat a request until a broker answers it: the leaders of a new topic refuse requests for a moment.

    Args:
        doing: as for `Connection.explain_outage`.
        topic: the topic of the request, for the message of Denied.
        within_s: longest wait; by default the time for commands, `Connection.answer_s`.

    Raises:
        BrokerUnavailable: no broker answered in time, or only with errors that should have passed.
        Denied: the brokers refuse this client.
        RequestRefused: the brokers refuse the request.
    """
    connection = get_connection(client)
    within_s = connection.answer_s if within_s is None else within_s
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            return call()
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            client.poll(0)  # raises Denied if that is the cause
            stop_if_denied(error, topic=topic)
            if not is_temporary(error):
                raise RequestRefused(f"{doing} failed on Kafka at {connection.servers}: {error.str()}") from raised
            if time.monotonic() > give_up_at:
                raise connection.explain_outage(doing, within_s, error) from raised
            time.sleep(RETRY_S)


def _create(admin: AdminClient, topic: NewTopic) -> bool:
    """Create a topic; return False if it exists already."""
    (created,) = admin.create_topics([topic], operation_timeout=CREATE_S, request_timeout=CREATE_S).values()
    try:
        created.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def _request_metadata(client: Consumer | AdminClient | Producer, topic: str) -> ClusterMetadata | KafkaError:
    try:
        metadata = client.list_topics(topic, timeout=PROBE_S) if topic else client.list_topics(timeout=PROBE_S)
    except KafkaException as error:
        failure: KafkaError = error.args[0]
        return failure
    return (metadata.topics[topic].error if topic else None) or metadata


def _compare(name: str, existing: int, requested: int, servers: str) -> str:
    """Return how an existing topic differs from the one requested, and how to change it."""
    if existing == requested:
        return f"exists already (partitions: {existing})"
    found = f"exists already (partitions: {existing} instead of the {requested} requested)"
    if existing > requested:
        return f"{found}; Kafka cannot reduce the number"
    command = f"kafka-topics.sh --bootstrap-server {servers} --alter --topic {name} --partitions {requested}"
    return f"{found}; to add partitions: {command}"


def _list_names(client: Consumer | AdminClient) -> list[str]:
    try:
        return list(client.list_topics(timeout=PROBE_S).topics)
    except KafkaException:  # only a suggestion in an error message depends on it
        return []
