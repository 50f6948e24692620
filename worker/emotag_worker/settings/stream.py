"""The settings of the stream: brokers, input, output and dead letters.

A field's description is what users read: in `emotag config list`, in `emotag config example` and in docs/settings.md.
The docstring below a field explains why the default is what it is.
"""

from typing import Annotated, Literal

from pydantic import Field

from emotag_model.long_texts.modes import LongTexts

from .fields import Allowed, Brokers, DottedPath, OptionalPath, SettingsSection, StartPosition, Topic

OutOfScopeAction = Literal["tag", "empty", "dead_letter"]


class KafkaSettings(SettingsSection):
    """The brokers, and how long the worker waits for them."""

    bootstrap_servers: Annotated[Brokers, Field(description="Brokers to connect to first.")] = "localhost:9092"
    group_id: Annotated[
        str,
        Allowed("a name that is not blank"),
        Field(pattern=r"^\s*\S", description="Consumer group of the workers. Transactional ids begin with it."),
    ] = "emotag"
    properties: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\Z")], str | int | float | bool],
        Allowed("a JSON object, or in a TOML file a table, whose values are strings, numbers, true or false"),
        Field(
            description="Properties of librdkafka, the Kafka client of emotag, for example security.protocol.",
            examples=[{"security.protocol": "SASL_SSL", "client.rack": "eu-1a"}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies it)
    identity: Annotated[
        str | None,
        Allowed("a name of up to 200 letters, digits, dots, hyphens and underscores"),
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,200}\Z",
            description="Name of this worker: the same after each restart, and different from the names of all other "
            "workers of the group. With it, the worker is a static member (group.instance.id), and after a restart it "
            "aborts the transaction of its last run.",
            examples=["worker-3"],
        ),
    ] = None
    """Nothing that the worker sees by itself is unique and survives a restart: a host can have several workers."""
    broker_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Seconds that the brokers may be unreachable before the worker stops. If brokers accept "
            "connections but do not respond, an idle worker notices up to socket.timeout.ms (60 s) later.",
        ),
    ] = 60.0
    """Longer than the restart of a broker; short enough that a worker without brokers does not look alive for long."""
    transaction_timeout_s: Annotated[
        float,
        Field(ge=1, le=900, description="Seconds after which the brokers abort the transaction of a dead worker."),
    ] = 15.0
    """Until then, read_committed consumers wait for the transaction, so the time is short. Writing one batch takes
    milliseconds, so the time is long enough."""


class InputSettings(SettingsSection):
    """The records that the worker reads."""

    topic: Annotated[Topic, Field(description="Topic of the texts.")] = "texts"
    format: Annotated[
        Literal["json", "text"],
        Field(description="Format of a record's value: a JSON object that contains the text, or the text itself."),
    ] = "json"
    text_path: Annotated[
        DottedPath,
        Field(description="Path of the text in a JSON value: payload.body is the field body of the object payload."),
    ] = "text"
    """The path cannot select an element of an array."""
    id_path: Annotated[
        OptionalPath,
        Field(
            description="Path of the id in a JSON value. The id is a string or a number. Without an id, or if "
            "the path is empty, the id of the result is topic-partition-offset."
        ),
    ] = "id"
    metadata_path: Annotated[
        OptionalPath,
        Field(
            description="Path of the metadata in a JSON value. The metadata can be any JSON value, and is copied to "
            "the result unchanged. Empty: results have no metadata."
        ),
    ] = "metadata"
    """A topic whose own field has one of these names, with another type, needs another path or none."""
    tombstones: Annotated[
        Literal["auto", "forward", "skip", "dead_letter"],
        Field(
            description="Handling of a record without a value (a tombstone). forward: a tombstone with the same "
            "key on the output topic. skip: nothing. dead_letter: a dead letter. auto: forward if the output topic is "
            "compacted, otherwise dead_letter. A tombstone without a key is never forwarded, but dead-lettered.",
        ),
    ] = "auto"
    """On a compacted topic, a tombstone deletes all earlier records with its key, so a text that is deleted from the
    input loses its result, too."""
    start: Annotated[
        StartPosition,
        Field(
            description="Position at which a group without committed offsets begins. earliest: the oldest record. "
            "latest: after the newest record. A time: the first record of that time or later. committed: none, the "
            "worker stops with exit code 2."
        ),
    ] = "earliest"
    """The other values skip records. If Kafka has deleted the offsets of a group, earliest tags the topic again; with
    committed, you decide."""
    on_data_loss: Annotated[
        Literal["continue", "stop"],
        Field(
            description="Reaction if retention deleted records before the worker read them, or if brokers lost records "
            "that it had read: continue with the next record that exists, or stop. Both log an error and increase "
            "emotag_data_loss_total.",
        ),
    ] = "continue"
    long_texts: Annotated[
        LongTexts,
        Field(
            description="Handling of a text that is longer than the model's window. windows: the text is read in "
            "overlapping windows; the result joins them, and has the emotions of each in the field parts. first: "
            "only its beginning is tagged.",
        ),
    ] = "windows"
    """Decision 35 has the measurements. The time for a text grows with its length, so `first` is cheaper."""
    max_value_bytes: Annotated[
        int, Field(ge=1, description="A record with a larger value becomes a dead letter without being parsed.")
    ] = 1_048_576
    """Parsing a larger value would delay the other records."""
    max_metadata_bytes: Annotated[
        int, Field(ge=2, description="A record with larger metadata becomes a dead letter.")
    ] = 65_536
    """The metadata is copied into the result, which must fit its topic."""
    max_headers_bytes: Annotated[
        int,
        Field(
            ge=0,
            description="A record whose headers have more bytes, names and values together, becomes a dead letter.",
        ),
    ] = 65_536
    """Headers are copied into the result, as the metadata is."""


class OutputSettings(SettingsSection):
    """The results that the worker writes."""

    topic: Annotated[Topic, Field(description="Topic of the results.")] = "emotions"
    all_scores: Annotated[bool, Field(description="Add the scores of all labels to each result.")] = False
    reasons: Annotated[
        bool,
        Field(
            description="Add to each emotion of a result the spans of the text that carry its score. An entry of the "
            "cache then has 568 bytes instead of 64.",
        ),
    ] = False
    out_of_scope: Annotated[
        OutOfScopeAction,
        Field(
            description="Handling of a text whose scope is not ok: in another language, unreadable or too short. tag: "
            "a result as for any text, whose scope says so. empty: a result without emotions. dead_letter: a dead "
            "letter with the reason OutOfScope.",
        ),
    ] = "tag"
    """The detector marks 1.3 % of English texts of fewer than 20 characters by mistake, so by default no text loses its
    emotions."""
    partition: Annotated[
        Literal["auto", "input", "key"],
        Field(
            description="Partition of a result. input: the partition of its input record, so that results keep the "
            "order of each partition. key: chosen by the hash of its key. auto: input if both topics have the same "
            "number of partitions, otherwise key. Dead letters follow the same rule in their own topic.",
        ),
    ] = "auto"
    """By key, each worker writes to all partitions, and one that dies in a transaction holds up the readers of all."""
    timestamp: Annotated[
        Literal["input", "now"],
        Field(
            description="Timestamp of a result. input: the timestamp of its input record. now: the time of its "
            "writing. Dead letters always have the timestamp of their record.",
        ),
    ] = "input"
    """Retention deletes records by their timestamp, so the results of old texts need `now` or a longer retention."""


class DlqSettings(SettingsSection):
    """The dead letters: records that cannot be tagged."""

    topic: Annotated[Topic, Field(description="Topic of the dead letters.")] = "texts.dlq"
    stop_after: Annotated[
        int,
        Field(
            ge=0,
            description="Number of dead letters since the start, without any result, after which the worker looks at "
            "the newest records of the input topic. If it can read none of these either, it stops with exit code 2. "
            "0: no limit.",
        ),
    ] = 1000
    """With a wrong text_path, the worker would otherwise move a whole topic into the dead letters. After the first
    result there is no limit: one producer's bad records must not stop the results of the others."""
