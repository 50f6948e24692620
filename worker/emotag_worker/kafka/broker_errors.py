"""Errors of the brokers and their client, and what they mean for the worker."""

import re
from collections.abc import Mapping
from typing import Literal

from confluent_kafka import KafkaError

from emotag_worker.errors import Denied, Fenced, IdentityHeld, StopWorker

UNAUTHORIZED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""The client lacks a permission. Retrying does not help."""

UNAUTHENTICATED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
"""The brokers reject the client's credentials."""

BROKER_UNTRUSTED = re.compile("certificate verify failed")
CLIENT_UNTRUSTED = re.compile("SSL routines::.*alert (bad certificate|certificate|unknown ca|access denied)")
"""Texts of failed TLS handshakes, which share one error code with other failures. librdkafka would retry until the
deadline, and the worker would then report unreachable brokers. A connection that closes during the handshake does not
match: restarting brokers close connections too."""

GROUP_REFUSED = frozenset(
    {
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.GROUP_MAX_SIZE_REACHED,
        KafkaError.UNSUPPORTED_ASSIGNOR,
        KafkaError.UNSUPPORTED_VERSION,
    }
)
"""The group rejects a member with these properties. The client would retry forever without an error."""

REPLACED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
    }
)
"""The group rebalanced without this member. The next poll reports the partitions that it still has."""

TOPIC_REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""The brokers refuse every record of a topic, and would refuse them again."""

RECORD_REFUSALS: Mapping[int, Literal["size", "timestamp", "record", "policy"]] = {
    KafkaError.MSG_SIZE_TOO_LARGE: "size",
    KafkaError.RECORD_LIST_TOO_LARGE: "size",  # larger than segment.bytes
    KafkaError.INVALID_TIMESTAMP: "timestamp",
    KafkaError.INVALID_RECORD: "record",  # for example without a key, on a compacted topic
    KafkaError.POLICY_VIOLATION: "policy",
}
"""The brokers refuse a record, and would refuse it again; by code, the cause of `Refusal`."""

NO_SUCH_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION})
"""The topic does not exist, or its name is invalid."""

TEMPORARY = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LISTENER_NOT_FOUND,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
    }
)
"""The brokers may answer the same request without an error soon, for example once a partition has a leader. Kafka calls
these codes retriable; the client marks only errors of transactions so."""

HELD = "The instance ID is still used by another member"
"""The broker's text while it waits for the last run of this worker (KIP-848). It comes under the code of all fatal
errors."""

TAKEN_OVER = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
"""Another client uses this client's identity now."""


def explain_denial(error: KafkaError, *, topic: str = "") -> Denied | None:
    """Return why the brokers refuse this client, or the client them; None if *error* means something else.

    Args:
        topic: the topic of the request, which the client's error does not name.
    """
    if error.code() in UNAUTHENTICATED:
        look_at = "sasl.mechanism, sasl.username and sasl.password"
        return Denied(f"the brokers refuse this client ({_shorten(error)})", f"{look_at} in EMOTAG_KAFKA__PROPERTIES")
    if error.code() in UNAUTHORIZED:
        where = f" of {topic}" if topic else ""
        return Denied(f"the brokers refuse this client ({_shorten(error)}{where})", "the ACLs of its user")
    if BROKER_UNTRUSTED.search(error.str()):
        return Denied(
            f"the certificate of a broker is not trusted ({_shorten(error)})",
            "ssl.ca.location in EMOTAG_KAFKA__PROPERTIES, whether the certificate has expired, and whether it is for "
            "the host that EMOTAG_KAFKA__BOOTSTRAP_SERVERS names",
        )
    if CLIENT_UNTRUSTED.search(error.str()):
        return Denied(
            f"the brokers refuse the certificate of this client ({_shorten(error)})",
            "ssl.certificate.location and ssl.key.location in EMOTAG_KAFKA__PROPERTIES, whether the certificate has "
            "expired, and whether the brokers trust its issuer",
        )
    return None


def stop_if_denied(error: KafkaError, *, topic: str = "") -> None:
    """Raise Denied if the brokers refuse this client or the client them; *topic* as for `explain_denial`."""
    if (denied := explain_denial(error, topic=topic)) is not None:
        raise denied


def is_temporary(error: KafkaError) -> bool:
    """Return True if the same request may succeed later: no broker answered it, or one did with a passing error."""
    return error.code() < 0 or error.code() in TEMPORARY


def explain_fatal(doing: str, error: KafkaError) -> StopWorker:
    """Return the error that ends the worker after a fatal *error* of the client while it was *doing* something."""
    if error.code() == KafkaError.UNRELEASED_INSTANCE_ID or HELD in error.str():
        return IdentityHeld(HELD)
    if error.code() in TAKEN_OVER or "fenced" in error.str():  # a callback gets the code _FATAL, and the cause as text
        return Fenced(error.str())
    return StopWorker(f"{doing} failed: {error.str()}; restart the worker")


def _shorten(error: KafkaError) -> str:
    """Return the text of *error* without the client's advice and its timings."""
    text = re.sub(r": broker certificate could not be verified.*| \(after \d+ms in state .*", "", error.str())
    return text or error.name()
