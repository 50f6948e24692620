"""Settings to librdkafka's properties: what each client is given, and what no operator may change."""

import uuid
from typing import Any

from .settings import Settings, SettingsProblem

OWNED = {
    "bootstrap.servers": "set EMOTAG_KAFKA__BOOTSTRAP_SERVERS instead",
    "metadata.broker.list": "set EMOTAG_KAFKA__BOOTSTRAP_SERVERS instead",
    "group.id": "set EMOTAG_KAFKA__GROUP_ID instead",
    "transactional.id": "it is made from the group id, so that no two workers share one",
    "enable.auto.commit": "offsets are committed with the results they belong to",
    "enable.auto.offset.store": "offsets are committed with the results they belong to",
    "transaction.timeout.ms": "set EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S instead",
    "isolation.level": "only read_committed waits for the offsets of a dead worker's last transaction (KIP-447)",
    "log_level": "set EMOTAG_LOG__LEVEL instead; that records are gone is heard from the client's log alone",
    "enable.idempotence": "without it a retry could write twice or out of order",
}
"""Properties the delivery guarantee stands on, and why they cannot be set."""

NO_PROPERTIES = ("default.topic.config", "logger", "on_commit", "on_delivery")
"""What the client takes beside librdkafka's properties; its callbacks end in `_cb`."""

CONSUMER_ONLY = (
    "auto.offset.reset",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "queued.",
    "session.timeout.ms",
)
PRODUCER_ONLY = (
    "acks",
    "batch.",
    "compression.",
    "delivery.timeout.ms",
    "linger.ms",
    "max.in.flight",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
)

TO_THE_END: dict[str, Any] = {
    "enable.partition.eof": True,
    # Where to begin is always said; what retention has taken away since is not there any more, whatever is set.
    "auto.offset.reset": "earliest",
}
"""For a consumer that ends where a topic does."""

MAX_MESSAGE_BYTES = 1_000_000_000
"""The client's own limit, out of the way: it counts bytes before compression, the topic's limit those after it. A dead
letter is as large as its input, and only the topic decides."""


def admin_properties(settings: Settings) -> dict[str, Any]:
    """For the client that creates topics."""
    return _for(settings, without=(*CONSUMER_ONLY, *PRODUCER_ONLY))


def consumer_properties(settings: Settings) -> dict[str, Any]:
    """For the consumer of the input topic."""
    given = _for(settings, without=PRODUCER_ONLY)
    ours: dict[str, Any] = {
        "group.id": settings.kafka.group_id,
        # Upstream may be transactional too: what it aborted was never said.
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }
    defaults: dict[str, Any] = {
        "auto.offset.reset": "earliest",
        # What is read ahead: a second of the fastest stream. librdkafka's own 64 MB would be memory for nothing.
        "queued.max.messages.kbytes": 4_096,
    }
    if given.get("group.protocol") != "consumer":  # there the broker assigns
        # Only the partitions that move are stopped.
        defaults["partition.assignment.strategy"] = "cooperative-sticky"
        # A member hears with its next heartbeat that another came or went. With librdkafka's own three seconds a
        # partition that was handed over would lie unread for as long.
        defaults["heartbeat.interval.ms"] = 1_000
    return defaults | given | ours


def producer_properties(settings: Settings) -> dict[str, Any]:
    """For the producer of results and dead letters."""
    given = _for(settings, without=CONSUMER_ONLY)
    defaults: dict[str, Any] = {
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "lz4",
        # Only until the step's last record is handed over: the commit flushes.
        "linger.ms": 5,
        # A transaction that begins while the broker still finishes the one before is told to try again: after
        # librdkafka's own 100 ms that would double the time of a step.
        "retry.backoff.ms": 10,
        # As Java's producers place keys, so that topics keyed alike can be joined.
        "partitioner": "murmur2_random",
    }
    ours: dict[str, Any] = {"enable.idempotence": True, "delivery.report.only.error": True}
    if settings.delivery == "exactly_once":
        ours["transactional.id"] = transactional_id(settings)
        ours["transaction.timeout.ms"] = round(settings.kafka.transaction_timeout_s * 1000)
    else:
        defaults["message.timeout.ms"] = round(settings.kafka.unavailable_s * 1000)
    return defaults | given | ours


def plain_producer_properties(settings: Settings) -> dict[str, Any]:
    """For a producer that only feeds the input topic."""
    given = _for(settings, without=CONSUMER_ONLY)
    return {
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.timeout.ms": round(settings.kafka.unavailable_s * 1000),
        **given,
        "enable.idempotence": True,
        "delivery.report.only.error": True,
    }


def reader_properties(settings: Settings) -> dict[str, Any]:
    """For a consumer that only looks: it joins no group and commits nothing."""
    return consumer_properties(settings) | {"group.id": f"{settings.kafka.group_id}-reader"}


def dead_letter_reader_properties(settings: Settings) -> dict[str, Any]:
    """For a consumer that reads the dead letters from one offset to another: it joins no group and commits nothing."""
    return reader_properties(settings) | TO_THE_END


def replay_consumer_properties(settings: Settings) -> dict[str, Any]:
    """For a consumer of dead letters that are put back. Its group is never joined: its offsets are a memory."""
    given = consumer_properties(settings)
    # Whoever has an identity, or a protocol, is taken for a member.
    without_membership = {name: value for name, value in given.items() if not name.startswith("group.")}
    return without_membership | {"group.id": replay_group(settings)} | TO_THE_END


def replay_producer_properties(settings: Settings) -> dict[str, Any]:
    """For a producer of records that are put back on the input topic."""
    given = producer_properties(settings)
    # One id for all of a group's replays: one that begins ends what another has under way.
    return given | ({"transactional.id": replay_group(settings)} if "transactional.id" in given else {})


def replay_group(settings: Settings) -> str:
    """The group that remembers how far dead letters were put back."""
    return f"{settings.kafka.group_id}-dlq-replay"


def transactional_id(settings: Settings) -> str:
    """Stable where the operator gave the worker an identity, so that a restart fences what it left behind; else unique.

    Two live workers must never share one: each would fence the other for ever. Between workers with unique ids the
    group's generation does the fencing (KIP-447).
    """
    instance = settings.kafka.properties.get("group.instance.id")
    return f"{settings.kafka.group_id}-{instance or uuid.uuid4().hex}"


def _for(settings: Settings, *, without: tuple[str, ...]) -> dict[str, Any]:
    """What every client gets, and those of the operator's that are for this one (librdkafka warns of others)."""
    for name, why in OWNED.items():
        if name in settings.kafka.properties:
            raise SettingsProblem(f"kafka.properties: {name} cannot be set; {why}")
    for name in settings.kafka.properties:
        if name.endswith("_cb") or name in NO_PROPERTIES:
            raise SettingsProblem(f"kafka.properties: {name} is none of librdkafka's properties")
    given = {name: value for name, value in settings.kafka.properties.items() if not name.startswith(without)}
    return {
        "client.id": "emotag",
        **given,
        "bootstrap.servers": settings.kafka.bootstrap_servers,
    }
