"""The errors that the worker and its commands raise, as one tree. The branch decides what happens.

    WorkerError
    ├── BadRecord                 this record goes to the dead-letter topic; the records next to it are not affected
    │   ├── Tombstone             the value is null
    │   ├── ValueTooLarge         the value is over the size limit
    │   ├── NotUtf8               the value is not UTF-8
    │   ├── NotJson               the value is not a JSON object
    │   ├── TooDeep               the value is nested too deeply
    │   ├── WrongType             a field has another type than the contract requires
    │   ├── NoText                the text is missing, empty or blank
    │   ├── IdTooLarge            the id is over the size limit
    │   ├── MetadataTooLarge      the metadata is over the size limit
    │   ├── HeadersTooLarge       the headers are over the size limit
    │   ├── HeadersUnreadable     the name of a header is not UTF-8
    │   ├── OutOfScope            the model cannot judge the text, and `output.out_of_scope` is `dead_letter`
    │   ├── DeviceRejected        the device fails on this text and on no other
    │   ├── TokenizerRejected     the tokenizer fails on this text and on no other
    │   └── OutputRefused         the brokers refuse the result of this record, and accept others
    ├── BatchAborted              the batch's transaction was undone; its records are read and processed again
    ├── RecordsRefused            the brokers refuse some records of a batch, which is written again without them
    ├── StopWorker                the process ends; a restart continues after the last commit
    │   ├── TopicMissing          a topic does not exist
    │   ├── GroupRefused          the consumer group rejects this member
    │   ├── NoCommittedOffsets    the group has no committed offsets, and `input.start` is `committed`
    │   ├── DataLoss              records were lost before they were read, and `input.on_data_loss` is `stop`
    │   ├── Denied                the brokers refuse this client, or the client does not trust the brokers
    │   ├── BrokerUnavailable     no broker answered within the broker timeout
    │   ├── ClientStuck           brokers answer, but the Kafka client does not return or does not connect
    │   ├── DeliveryRefused       the brokers refuse every record of a topic
    │   ├── TransactionFailed     too many transactions in a row were aborted
    │   ├── Fenced                another worker took over this worker's identity
    │   ├── IdentityHeld          the group still has a member with this worker's identity
    │   ├── TakenOver             another replay took over this replay's identity
    │   ├── TooManyDeadLetters    no record can be read: the settings are at fault
    │   └── DeviceLost            the device cannot run the model at all
    ├── SettingsError             a setting that cannot be used
    ├── RequestRefused            the brokers refuse a request, for example to create a topic
    ├── GroupInUse                the offsets of a group with members cannot be set
    ├── ProduceIncomplete         not every line became a record of the input topic
    ├── NoSuchReason              a reason that no dead letter can have
    ├── ReplayRefused             a replay that cannot be done as it was requested
    │   └── MayBeRepeated         the replay could put records back a second time
    ├── ProgressUnreadable        the stored progress of earlier replays cannot be read
    └── LocalError                a local server cannot be started
        └── LocalServerFailed     the server ended or did not respond, or could not be downloaded

`records`, `stops` and `commands` each contain one branch or the small branches of one kind.
"""

from .base import (
    PERSON_NEEDED,
    RESTART,
    WorkerError,
)
from .commands import (
    GroupInUse,
    LocalError,
    LocalServerFailed,
    MayBeRepeated,
    NoSuchReason,
    ProduceIncomplete,
    ProgressUnreadable,
    ReplayRefused,
    RequestRefused,
    SettingsError,
)
from .records import (
    BadRecord,
    DeviceRejected,
    HeadersTooLarge,
    HeadersUnreadable,
    IdTooLarge,
    MetadataTooLarge,
    NoText,
    NotJson,
    NotUtf8,
    OutOfScope,
    OutputRefused,
    TokenizerRejected,
    Tombstone,
    TooDeep,
    ValueTooLarge,
    WrongType,
)
from .stops import (
    BatchAborted,
    BrokerUnavailable,
    ClientStuck,
    DataLoss,
    DeliveryRefused,
    Denied,
    DeviceLost,
    Fenced,
    GroupRefused,
    IdentityHeld,
    NoCommittedOffsets,
    RecordsRefused,
    StopWorker,
    TakenOver,
    TooManyDeadLetters,
    TopicMissing,
    TransactionFailed,
)

__all__ = [
    "PERSON_NEEDED",
    "RESTART",
    "BadRecord",
    "BatchAborted",
    "BrokerUnavailable",
    "ClientStuck",
    "DataLoss",
    "DeliveryRefused",
    "Denied",
    "DeviceLost",
    "DeviceRejected",
    "Fenced",
    "GroupInUse",
    "GroupRefused",
    "HeadersTooLarge",
    "HeadersUnreadable",
    "IdTooLarge",
    "IdentityHeld",
    "LocalError",
    "LocalServerFailed",
    "MayBeRepeated",
    "MetadataTooLarge",
    "NoCommittedOffsets",
    "NoSuchReason",
    "NoText",
    "NotJson",
    "NotUtf8",
    "OutOfScope",
    "OutputRefused",
    "ProduceIncomplete",
    "ProgressUnreadable",
    "RecordsRefused",
    "ReplayRefused",
    "RequestRefused",
    "SettingsError",
    "StopWorker",
    "TakenOver",
    "TokenizerRejected",
    "Tombstone",
    "TooDeep",
    "TooManyDeadLetters",
    "TopicMissing",
    "TransactionFailed",
    "ValueTooLarge",
    "WorkerError",
    "WrongType",
]
