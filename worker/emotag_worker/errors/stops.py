"""Why the worker stops, or processes or writes a batch again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .base import PERSON_NEEDED, RESTART, WorkerError

if TYPE_CHECKING:  # at run time this would import pydantic into commands that do not need it
    from emotag_worker.wire.record import Refusal


class BatchAborted(WorkerError):
    """The transaction was aborted: no consumer saw any of the batch, and its records must be read again."""


class RecordsRefused(WorkerError):
    """The brokers refuse some records of a batch. No offset was committed; write the batch without these records.

    Brokers refuse all records of a produce batch for one of them, and the client often reports the same error for each.

    Attributes:
        refused: the refused records, by their index in the batch.
        unwritten: the index of every record that must be written again, refused ones included.
    """

    def __init__(self, refused: "Mapping[int, Refusal]", unwritten: Sequence[int]) -> None:
        first = next(iter(refused.values()))
        super().__init__(
            f"the brokers refuse {len(refused)} records, the first of them for {first.topic} ({first.reason})"
        )
        self.refused = refused
        self.unwritten = unwritten


class StopWorker(WorkerError):
    """The worker cannot continue; the message contains what to do."""

    exit_code = RESTART


class TopicMissing(StopWorker):
    """Topics that do not exist.

    Args:
        topics: the name of each topic, and the setting that it comes from.
        servers: the brokers that were asked.
        remedy: by default, to create them.
    """

    exit_code = PERSON_NEEDED

    def __init__(self, topics: Mapping[str, str], servers: str, remedy: str = "") -> None:
        named = ", ".join(f"{topic} ({variable})" if variable else topic for topic, variable in topics.items())
        remedy = remedy or "check the name, or create the worker's topics with: emotag topics create"
        super().__init__(f"no such topic: {named}, on Kafka at {servers}; {remedy}")


class GroupRefused(StopWorker):
    """The consumer group rejects this member."""

    exit_code = PERSON_NEEDED

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the consumer group rejects this worker ({why}); give all its members one assignment strategy and one "
            "group.protocol (EMOTAG_KAFKA__PROPERTIES), and a session.timeout.ms that the brokers allow, or choose "
            "another group (EMOTAG_KAFKA__GROUP_ID)"
        )


class NoCommittedOffsets(StopWorker):
    """The group has no committed offsets, and `input.start` is `committed`."""

    exit_code = PERSON_NEEDED

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"the group has no committed offset for {topic}, and EMOTAG_INPUT__START is committed: the group is new, "
            "or Kafka deleted its offsets; set them with: emotag offsets reset and --to-time TIME, --to-earliest or "
            "--to-latest"
        )


class DataLoss(StopWorker):
    """Records were lost before they were read, and `input.on_data_loss` is `stop`."""

    exit_code = PERSON_NEEDED

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the next record to read is gone ({why}); to continue with the next one that exists, set "
            "EMOTAG_INPUT__ON_DATA_LOSS=continue; to choose the position, run: emotag offsets reset"
        )


class Denied(StopWorker):
    """The brokers refuse this client, or the client does not trust the brokers.

    Args:
        reason: the refusal, with the address of the broker as far as the client reports it.
        look_at: the settings to check.
    """

    def __init__(self, reason: str, look_at: str) -> None:
        super().__init__(f"{reason}; check {look_at}")


class BrokerUnavailable(StopWorker):
    """No broker answered within the deadline, or none with more than an error.

    Args:
        address: the brokers, and the setting that they come from.
        answered: a broker answered with an error that may pass.
    """

    def __init__(self, address: str, cause: str, remedy: str, *, answered: bool = False) -> None:
        what = f"Kafka at {address} is not ready" if answered else f"cannot reach Kafka at {address}"
        super().__init__(f"{what}: {cause}. {remedy}")


class ClientStuck(StopWorker):
    """Brokers answer, but a call of the Kafka client does not return, or the client does not connect again."""

    def __init__(self, doing: str) -> None:
        super().__init__(
            f"the Kafka client is stuck {doing} although brokers answer, which can happen after a connection broke "
            "(librdkafka issue 5456); restart the worker: it continues after the last commit"
        )


class DeliveryRefused(StopWorker):
    """The brokers refuse every record of a topic."""

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(
            f"the brokers refuse every record for {topic} ({why}); check the topic's settings and permissions"
        )


class TransactionFailed(StopWorker):
    """Too many transactions in a row were aborted."""

    def __init__(self, attempts: int, why: str) -> None:
        super().__init__(f"{attempts} transactions in a row were aborted ({why}); see the broker's log")


class Fenced(StopWorker):
    """Another worker took over this worker's identity."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"another worker replaced this one, or its transaction took longer than "
            f"EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S ({why}); if this happens again, give each worker "
            "its own EMOTAG_KAFKA__IDENTITY or group.instance.id, or none"
        )


class IdentityHeld(StopWorker):
    """The group still has a member with this worker's identity: its session has not ended."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"another member of the group has the identity of this worker ({why}); give each worker its own "
            "EMOTAG_KAFKA__IDENTITY or group.instance.id, or restart this one once the session of its last run has "
            "ended (group.consumer.session.timeout.ms of the brokers)"
        )


class TakenOver(StopWorker):
    """Another replay of the same group took over this replay's identity."""

    def __init__(self, put_back: int) -> None:
        super().__init__(
            f"another replay of this group took over, or a transaction took longer than "
            f"EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S; records put back before: {put_back}, none of them twice; put the "
            "rest back with: emotag dlq replay"
        )


class TooManyDeadLetters(StopWorker):
    """No record since the start can be read: the settings must be at fault."""

    # A supervisor that restarts the worker would send the topic to the dead letters, a thousand records at a time.
    exit_code = PERSON_NEEDED

    def __init__(self, dead: int, *, refused: bool = False) -> None:
        super().__init__(
            f"the output topic refuses the results of the first {dead} records since the start (OutputRefused); check "
            "its settings, for example cleanup.policy and max.message.bytes; to dead-letter the records anyway, set "
            "EMOTAG_DLQ__STOP_AFTER=0"
            if refused
            else f"the first {dead} records since the start would all be dead-lettered, and none of the topic's newest "
            "records can be read either; check EMOTAG_INPUT__FORMAT and EMOTAG_INPUT__TEXT_PATH; if both are correct, "
            "set EMOTAG_DLQ__STOP_AFTER=0"
        )


class DeviceLost(StopWorker):
    """The device cannot run the model at all."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the device cannot run the model: {why}")
