"""Build librdkafka's properties for each client, and refuse properties that the operator must not set."""

import uuid
from typing import Any

from emotag_worker.errors import SettingsError
from emotag_worker.settings import Settings

OWNED = {
    "bootstrap.servers": "set EMOTAG_KAFKA__BOOTSTRAP_SERVERS instead",
    "metadata.broker.list": "set EMOTAG_KAFKA__BOOTSTRAP_SERVERS instead",
    "group.id": "set EMOTAG_KAFKA__GROUP_ID instead",
    "transactional.id": "the worker derives it from the group id, so that no two workers share one",
    "enable.auto.commit": "offsets are committed with the results they belong to",
    "enable.auto.offset.store": "offsets are committed with the results they belong to",
    "transaction.timeout.ms": "set EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S instead",
    "isolation.level": "only read_committed waits for the offsets of a dead worker's last transaction (KIP-447)",
    "enable.partition.eof": "the worker commits the ends of partitions that it has read completely",
    "auto.offset.reset": "set EMOTAG_INPUT__START instead; after a gap, the worker never skips a record that exists",
    "log_level": "set EMOTAG_LOG__LEVEL instead",
    "enable.idempotence": "without it a retry could write twice or out of order",
}
"""Properties that the delivery guarantee depends on, and why the operator cannot set them."""

NO_PROPERTIES = ("default.topic.config", "logger", "on_commit", "on_delivery")
"""Names that the Python client accepts in addition to librdkafka's properties; its callbacks end in `_cb`."""

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
    # The reader always names the offset to begin at. If retention deletes that record meanwhile, read the next one.
    "auto.offset.reset": "earliest",
}
"""For a consumer that ends at the end of a topic."""

MAX_MESSAGE_BYTES = 1_000_000_000
"""Switches the client's own limit off: it counts bytes before compression, the topic's limit counts them after it. A
dead letter is as large as its input, so only the topic's limit must apply."""


def build_admin_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of the client that creates topics."""
    return _build(settings, without=(*CONSUMER_ONLY, *PRODUCER_ONLY))


def build_consumer_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of the consumer of the input topic."""
    given = _build(settings, without=PRODUCER_ONLY)
    ours: dict[str, Any] = {
        "group.id": settings.kafka.group_id,
        # Producers of the input may use transactions too: records of an aborted one do not count.
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        # The client never chooses an offset: it reports that it has none, and `input.positions` chooses.
        "auto.offset.reset": "error",
    }
    defaults: dict[str, Any] = {
        # The client's own queue, which all partitions share, holds up to two of the largest batches, or 4 MB. A
        # longer one would only be dropped with each pause.
        "queued.min.messages": 2 * settings.batch.max_records,
        "queued.max.messages.kbytes": 4_096,
        # While that queue is full, the client does not fetch. librdkafka's 1,000 ms would leave it empty in between.
        "fetch.queue.backoff.ms": 10,
        # The bytes of one partition in one response. With librdkafka's 1 MB, the first response would be many batches.
        "fetch.message.max.bytes": 131_072,
        # No worker reads a new partition until the group learns of it. librdkafka's default is 300 s.
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    if given.get("group.protocol") != "consumer":  # with that protocol the broker assigns partitions
        # Pauses only the partitions that move.
        defaults["partition.assignment.strategy"] = "cooperative-sticky"
        # A member learns of a rebalance with its next heartbeat. With librdkafka's three seconds, nobody would read
        # a partition that moves for as long.
        defaults["heartbeat.interval.ms"] = 1_000
        # Nobody reads the partitions of a member that died until its session ends, and no rebalance completes. The
        # shortest session that brokers allow by default. Heartbeats come from librdkafka's own thread, so neither a
        # long batch nor Python delays them: six are missed in a row only after a failure.
        defaults["session.timeout.ms"] = 6_000
    if (identity := find_identity(settings)) is not None:
        ours["group.instance.id"] = identity
    return defaults | given | ours


def build_producer_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of the producer of results and dead letters."""
    given = _build(settings, without=CONSUMER_ONLY)
    defaults: dict[str, Any] = {
        "message.max.bytes": MAX_MESSAGE_BYTES,
        # A topic's limit counts compressed bytes. A dead letter must not be larger than its record, which may come
        # from a producer with zstd. One client has one compression, and a transaction has one client.
        "compression.type": "zstd",
        # Applies only until the last record of the batch: the commit flushes.
        "linger.ms": 5,
        # If the broker still finishes the previous transaction, the client retries after this time. librdkafka's
        # 100 ms would double the time of a batch.
        "retry.backoff.ms": 10,
        # The partitioner of Java's producers, so that topics with the same keys can be joined.
        "partitioner": "murmur2_random",
    }
    ours: dict[str, Any] = {"enable.idempotence": True, "delivery.report.only.error": True}
    if settings.delivery == "exactly_once":
        ours["transactional.id"] = make_transactional_id(settings)
        ours["transaction.timeout.ms"] = round(settings.kafka.transaction_timeout_s * 1000)
    else:
        defaults["message.timeout.ms"] = round(settings.kafka.broker_timeout_s * 1000)
    return defaults | given | ours


def build_plain_producer_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a producer for the input topic."""
    given = _build(settings, without=CONSUMER_ONLY)
    return {
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.timeout.ms": round(settings.kafka.broker_timeout_s * 1000),
        **given,
        "enable.idempotence": True,
        "delivery.report.only.error": True,
    }


def is_eager(settings: Settings) -> bool:
    """Return True if a rebalance of the group takes all partitions from a member before it gives any."""
    given = build_consumer_properties(settings)
    return "cooperative" not in given.get("partition.assignment.strategy", "cooperative")


def build_reader_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a consumer that joins no group and commits nothing."""
    return build_consumer_properties(settings) | {
        "group.id": f"{settings.kafka.group_id}-reader",
        "enable.partition.eof": False,
        "auto.offset.reset": "earliest",
    }


def build_finite_reader_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a reader that also reports the end of a partition."""
    return build_reader_properties(settings) | TO_THE_END


def build_outsider_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a consumer that uses the offsets of a group and never joins the group."""
    given = build_consumer_properties(settings)
    # The brokers treat a client with an instance id or a group protocol as a member.
    without_membership = {name: value for name, value in given.items() if not name.startswith("group.")}
    return without_membership | {"group.id": settings.kafka.group_id}


def build_batch_finder_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a consumer that tries offsets, most of which it cannot read."""
    # After each of them, librdkafka would wait 500 ms.
    return build_outsider_properties(settings) | {"fetch.error.backoff.ms": 0, "log_level": 0}


def build_replay_consumer_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a replay's consumer. It never joins its group, whose offsets only store progress."""
    return build_outsider_properties(settings) | {"group.id": name_replay_group(settings)} | TO_THE_END


def build_replay_producer_properties(settings: Settings) -> dict[str, Any]:
    """Return the properties of a replay's producer."""
    given = build_producer_properties(settings)
    # One id for all replays of a group: a new replay aborts the open transaction of another.
    return given | ({"transactional.id": name_replay_group(settings)} if "transactional.id" in given else {})


def name_replay_group(settings: Settings) -> str:
    """Return the id of the group that stores the progress of replays."""
    return f"{settings.kafka.group_id}-dlq-replay"


def make_transactional_id(settings: Settings) -> str:
    """Return a stable id for a worker with an identity, else a unique one.

    With a stable id, a restarted worker fences its previous run. Two live workers must never share an id: they would
    fence each other again and again. Workers with unique ids are fenced by the generation of the group (KIP-447).
    """
    return f"{settings.kafka.group_id}-{find_identity(settings) or uuid.uuid4().hex}"


def find_identity(settings: Settings) -> str | None:
    """Return the name of this worker that survives a restart; None if it has none."""
    given = settings.kafka.properties.get("group.instance.id")
    return settings.kafka.identity if given is None else str(given)


def _build(settings: Settings, *, without: tuple[str, ...]) -> dict[str, Any]:
    """Return the common properties and the operator's, except those for other clients: librdkafka warns about these."""
    for name, why in OWNED.items():
        if name in settings.kafka.properties:
            raise SettingsError(f"kafka.properties: {name} cannot be set; {why}")
    for name in settings.kafka.properties:
        if name.endswith("_cb") or name in NO_PROPERTIES:
            raise SettingsError(f"kafka.properties: {name} is not a property of librdkafka")
    given = {name: value for name, value in settings.kafka.properties.items() if not name.startswith(without)}
    return {**given, "bootstrap.servers": settings.kafka.bootstrap_servers}
