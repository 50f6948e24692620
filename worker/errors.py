"""What can go wrong, as one tree: the branch decides what happens.

    EmotagError
    ├── BadRecord              this record goes to the dead-letter topic; its neighbours are unharmed
    │   ├── Tombstone          the value is null
    │   ├── ValueTooLarge      the value is over the size limit
    │   ├── NotUtf8            the value is not UTF-8
    │   ├── NotJson            the value is not a JSON object
    │   ├── TooDeep            the value is nested too deeply
    │   ├── WrongType          a field has another type than the contract says
    │   ├── NoText             the text is missing, empty or blank
    │   ├── IdTooLarge         the id is over the size limit
    │   ├── MetadataTooLarge   the metadata is over the size limit
    │   ├── HeadersUnreadable  the name of a header is not UTF-8
    │   └── DeviceRejected     the device fails on this text, alone
    ├── StepAborted            the step's transaction was undone; the step is read and done again
    └── StopWorker             the process ends with a non-zero code; on restart the work continues
        ├── TopicMissing       a topic is not there
        ├── GroupRefused       the group does not take this member
        ├── OffsetGone         what was to be read next is no longer there, and the operator asked to be told
        ├── Denied             the brokers refuse this client, or it does not trust them
        ├── BrokerUnavailable  the brokers were gone for longer than the deadline
        ├── ClientStuck        brokers answer, and the client does not get a call done
        ├── FlushIncomplete    produced records were not acknowledged within the deadline
        ├── DeliveryRefused    the broker will not take a record
        ├── TransactionFailed  transactions fail again and again
        ├── Fenced             another worker took over this one's identity
        ├── TooManyDeadLetters so many records are refused that the deployment must be at fault
        └── DeviceLost         the device cannot run the model at all

Messages of a BadRecord go into headers and logs, so none of them ever contains any of the record.
"""


class EmotagError(Exception):
    """Anything that emotag itself raises at run time."""


class BadRecord(EmotagError):
    """A record that cannot be tagged and never will be.

    Attributes:
        stage: the room that refused it.
    """

    stage = "decode"


class Tombstone(BadRecord):
    def __init__(self) -> None:
        super().__init__("the value is null")


class ValueTooLarge(BadRecord):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"the value has {size_bytes} bytes, the limit is {limit_bytes} (EMOTAG_INPUT__MAX_VALUE_BYTES)"
        )


class NotUtf8(BadRecord):
    def __init__(self, position: int) -> None:
        super().__init__(f"the value is not UTF-8 (byte {position})")


class NotJson(BadRecord):
    def __init__(self, why: str) -> None:
        super().__init__(f"the value is not a JSON object: {why}")


class TooDeep(BadRecord):
    def __init__(self) -> None:
        super().__init__("the value is nested too deeply")


class WrongType(BadRecord):
    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(f"{field} takes {expected}, it is {found}")


class NoText(BadRecord):
    def __init__(self, field: str, how: str) -> None:
        super().__init__(f"{field} is {how}")


class IdTooLarge(BadRecord):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"id has {size_bytes} bytes, the limit is {limit_bytes}")


class MetadataTooLarge(BadRecord):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"metadata has {size_bytes} bytes, the limit is {limit_bytes} (EMOTAG_INPUT__MAX_METADATA_BYTES)"
        )


class HeadersUnreadable(BadRecord):
    def __init__(self) -> None:
        super().__init__("the name of a header is not UTF-8; the dead letter carries none of the record's headers")


class DeviceRejected(BadRecord):
    stage = "tag"

    def __init__(self, error: Exception) -> None:
        # Only the kind: a kernel's message may carry anything.
        super().__init__(f"the device failed on this text alone ({type(error).__name__})")


class StepAborted(EmotagError):
    """The transaction was aborted: nothing of the step was seen by anyone, and its records are to be read again."""


class StopWorker(EmotagError):
    """The worker cannot go on; the message says what to do."""


class TopicMissing(StopWorker):
    def __init__(self, topics: list[str]) -> None:
        super().__init__(f"no such topic: {', '.join(topics)}; create them with: emotag topics create")


class GroupRefused(StopWorker):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"the group does not take this worker ({why}); do all its members share one strategy and one protocol?"
        )


class OffsetGone(StopWorker):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"the next record to read is gone ({why}); set the group's offsets, or let the worker go on behind the "
            "gap: EMOTAG_INPUT__OFFSET_GONE=continue"
        )


class Denied(StopWorker):
    def __init__(self, what: str, look_at: str) -> None:
        super().__init__(f"{what}; check {look_at}")


class BrokerUnavailable(StopWorker):
    def __init__(self, doing: str, deadline_s: float, why: str) -> None:
        super().__init__(
            f"gave up {doing} after {deadline_s:g} s ({why}); are the brokers up? are the address and "
            "security.protocol right?"
        )


class ClientStuck(StopWorker):
    def __init__(self, doing: str) -> None:
        super().__init__(
            f"the Kafka client does not get done with {doing} though brokers answer, as may happen after a connection "
            "broke (librdkafka issue 5456); started again, the worker goes on where it was"
        )


class FlushIncomplete(StopWorker):
    def __init__(self, outstanding: int) -> None:
        super().__init__(f"{outstanding} records unacknowledged at the deadline; is the broker reachable?")


class DeliveryRefused(StopWorker):
    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"the broker refuses a record for {topic} ({why}); check the topic's settings and permissions")


class TransactionFailed(StopWorker):
    def __init__(self, attempts: int, why: str) -> None:
        super().__init__(f"{attempts} transactions in a row were aborted ({why}); see the broker's log")


class Fenced(StopWorker):
    def __init__(self, why: str) -> None:
        super().__init__(
            f"this worker was replaced, or its transaction outlived EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S ({why}); if it "
            "comes again: do two workers share a group.instance.id?"
        )


class TooManyDeadLetters(StopWorker):
    def __init__(self, dead: int, records: int, most: float) -> None:
        super().__init__(
            f"{dead} of the last {records} records were to be dead-lettered, more than {most:g} of them; is the input "
            "what EMOTAG_INPUT__FORMAT and _TEXT_PATH say? If so, raise EMOTAG_DLQ__MAX_RATIO"
        )


class DeviceLost(StopWorker):
    def __init__(self, why: str) -> None:
        super().__init__(f"the device cannot run the model: {why}")
