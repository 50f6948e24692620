"""What brokers and their client say, and what it means for the worker."""

import re

from confluent_kafka import KafkaError

from .errors import Denied, Fenced, StopWorker

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""This client may not do what it does; it will not pass."""

NOT_LET_IN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
"""The brokers do not know this client by what it says."""

BROKER_DISTRUSTED = re.compile("certificate verify failed")
CLIENT_DISTRUSTED = re.compile("SSL routines::.*alert (bad certificate|certificate|unknown ca|access denied)")
"""What the client says where a handshake failed, which has no code of its own: librdkafka, and so a worker, would try
again until the deadline and then call it a broker that is gone. Not a connection that breaks off in a handshake: a
broker that restarts does that."""

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
"""The group does not take a member with these properties; the client would ask again for ever, and say nothing."""

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
"""The group went on without this member: the next poll says what is still ours."""

REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
    }
)
"""What a broker says of a record that it will not take the next time either."""

ABSENT = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION})
"""There is no such topic, or no topic can have such a name."""

TAKEN_OVER = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
"""Somebody else goes by this client's identity now."""


def denial(error: KafkaError, *, of: str = "") -> Denied | None:
    """Why the brokers and this client will not have one another, where that is what an error means.

    Args:
        of: the topic that it was about, which the client does not say.
    """
    if error.code() in NOT_LET_IN:
        look_at = "sasl.mechanism, sasl.username and sasl.password"
        return Denied(f"the brokers refuse this client ({_told(error)})", f"{look_at} in EMOTAG_KAFKA__PROPERTIES")
    if error.code() in DENIED:
        where = f" of {of}" if of else ""
        return Denied(f"the brokers refuse this client ({_told(error)}{where})", "the ACLs of its user")
    if BROKER_DISTRUSTED.search(error.str()):
        return Denied(
            f"the certificate of a broker is not trusted ({_told(error)})",
            "ssl.ca.location in EMOTAG_KAFKA__PROPERTIES, whether the certificate has expired, and whether it is for "
            "the host that EMOTAG_KAFKA__BOOTSTRAP_SERVERS names",
        )
    if CLIENT_DISTRUSTED.search(error.str()):
        return Denied(
            f"the brokers refuse the certificate of this client ({_told(error)})",
            "ssl.certificate.location and ssl.key.location in EMOTAG_KAFKA__PROPERTIES, whether the certificate has "
            "expired, and whether the brokers trust who signed it",
        )
    return None


def stop_if_denied(error: KafkaError, *, of: str = "") -> None:
    """Raise Denied where the brokers refuse this client, or it them; *of* as in `denial`."""
    if (found := denial(error, of=of)) is not None:
        raise found


def _told(error: KafkaError) -> str:
    """What the client says of an error, without its advice and its own timings."""
    words = re.sub(r": broker certificate could not be verified.*| \(after \d+ms in state .*", "", error.str())
    return words or error.name()


def fatal(doing: str, error: KafkaError) -> StopWorker:
    """What ends the worker where the client says that it cannot go on."""
    if error.code() in TAKEN_OVER or "fenced" in error.str():  # to a callback the client says _FATAL, and this in words
        return Fenced(error.str())
    return StopWorker(f"{doing} failed for good: {error.str()}")
