"""What brokers and their client say, and what it means for the worker."""

from confluent_kafka import KafkaError

from .errors import Fenced, StopWorker

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)
"""This client may not do what it does; it will not pass."""

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


def stop_if_denied(error: KafkaError) -> None:
    """Raise StopWorker where the brokers refuse this client."""
    if error.code() in DENIED:
        raise StopWorker(f"the brokers refuse this client ({error.name()}); check EMOTAG_KAFKA__PROPERTIES and ACLs")


def fatal(doing: str, error: KafkaError) -> StopWorker:
    """What ends the worker where the client says that it cannot go on."""
    if error.code() in TAKEN_OVER:
        return Fenced(error.str())
    return StopWorker(f"{doing} failed for good: {error.str()}")
