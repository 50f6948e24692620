"""Create Kafka clients from the settings. No other module creates clients."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from emotag_worker.dlq.replay_progress import NotingProducer
from emotag_worker.errors import SettingsError
from emotag_worker.observability.logs import CLIENT_LOG
from emotag_worker.settings import Settings

from . import properties
from .broker_errors import stop_if_denied
from .connection import Connection
from .offsets import OffsetReader

Client = TypeVar("Client", "_Consumer", "_Producer", "_ReplayProducer", "_Admin")
OnError = Callable[[KafkaError], None]
OnDelivery = Callable[[KafkaError | None, Message], None]


def create_consumer(settings: Settings, on_error: OnError) -> Consumer:
    """Create the worker's member of the consumer group."""
    return _create(_Consumer, settings, properties.build_consumer_properties(settings), on_error)


def create_producer(settings: Settings, on_error: OnError, on_delivery: OnDelivery) -> Producer:
    """Create the worker's producer of results and dead letters."""
    given = properties.build_producer_properties(settings)
    return _create(_Producer, settings, given | {"on_delivery": on_delivery}, on_error)


def create_plain_producer(settings: Settings, on_delivery: OnDelivery) -> Producer:
    """Create a producer for the input topic; its `poll` and `flush` raise Denied."""
    given = properties.build_plain_producer_properties(settings)
    return _create(_Producer, settings, given | {"on_delivery": on_delivery}, stop_if_denied)


def create_reader(settings: Settings) -> Consumer:
    """Create a consumer that joins no group and commits nothing; its `poll` raises Denied."""
    return _create(_Consumer, settings, properties.build_reader_properties(settings), _stop_if_reader_denied)


def create_outsider(settings: Settings, isolation_level: str, *, polled: bool = False) -> Consumer:
    """Create a consumer that asks for offsets of the worker's group, which it never joins.

    Args:
        polled: its `poll` raises Denied. Otherwise its errors are ignored: the worker's other clients report them.
    """
    given = properties.build_outsider_properties(settings) | {"isolation.level": isolation_level}
    if polled:
        return _create(_Consumer, settings, given, stop_if_denied)
    return _create(_Consumer, settings, given | {"log_level": 0}, lambda error: None)


def create_offset_reader(settings: Settings, *, polled: bool = False) -> OffsetReader:
    """Return a reader of the offsets of the worker's group.

    Args:
        polled: the caller uses `repeat`, which raises Denied. Otherwise errors that are not answers are ignored: the
            other clients of a worker report them.
    """
    decided = create_outsider(settings, "read_committed", polled=polled)
    return OffsetReader(decided, create_outsider(settings, "read_uncommitted", polled=polled))


def create_batch_finder(settings: Settings) -> Consumer:
    """Create a consumer that tries offsets behind a batch that the worker's member of the group cannot read."""
    return _create(_Consumer, settings, properties.build_batch_finder_properties(settings), lambda error: None)


def create_finite_reader(settings: Settings) -> Consumer:
    """Create a reader that also reports the end of a partition."""
    given = properties.build_finite_reader_properties(settings)
    return _create(_Consumer, settings, given, _stop_if_reader_denied)


def create_replay_consumer(settings: Settings) -> Consumer:
    """Create a reader of dead letters in the group that stores the progress of replays."""
    return _create(_Consumer, settings, properties.build_replay_consumer_properties(settings), stop_if_denied)


def create_replay_producer(settings: Settings, on_delivery: OnDelivery) -> NotingProducer:
    """Create a producer of records that a replay puts back; its `poll` raises Denied."""
    given = properties.build_replay_producer_properties(settings)
    return _create(_ReplayProducer, settings, given | {"on_delivery": on_delivery}, stop_if_denied)


def create_admin(settings: Settings, *, polled: bool = False) -> AdminClient:
    """Create the client that creates topics and reads their settings. A running worker has none: see `offsets`.

    Use it in a `with` block. Otherwise Python's garbage collector could destroy it in the client's own thread, which
    ends the process (pull request 2131 of confluent-kafka-python).

    Args:
        polled: the caller polls the client, and `poll` raises Denied. Without polls, errors would only pile up.
    """
    return _create(_Admin, settings, properties.build_admin_properties(settings), stop_if_denied if polled else None)


def name_client(settings: Settings) -> str:
    """Return the name in the brokers' logs, metrics and quotas: the worker's identity, or its host and process."""
    return f"emotag-{properties.find_identity(settings) or f'{socket.gethostname()}-{os.getpid()}'}"


class _ClientLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that also passes on log lines of librdkafka that no callback receives."""

    def __init__(self, logger: logging.Logger, connection: Connection) -> None:
        super().__init__(logger)
        self._connection = connection

    def log(self, level: int, msg: object, *args: Any, **keywords: Any) -> None:
        text = str(args[-1]) if args else ""
        if text and args[0] == "FAIL":
            self._connection.note_log(text)
        super().log(level, msg, *args, **keywords)


class _Consumer(Consumer):
    connection: Connection


class _Producer(Producer):
    connection: Connection


class _ReplayProducer(NotingProducer):
    connection: Connection


class _Admin(AdminClient):
    connection: Connection


def _create(
    kind: type[Client],
    settings: Settings,
    given: Mapping[str, Any],
    on_error: OnError | None,
) -> Client:
    """Create a client whose errors go to its connection, then to *on_error*; without *on_error*, to neither."""
    connection = Connection(settings)

    def note(error: KafkaError) -> None:
        connection.note(error)
        if on_error is not None:
            on_error(error)

    complete: dict[str, Any] = {"client.id": name_client(settings), **given}
    if on_error is not None:
        complete["error_cb"] = note
    with _explain_mistakes():
        client = kind(complete, logger=_ClientLogger(logging.getLogger(CLIENT_LOG), connection))
    client.connection = connection
    return client


def _stop_if_reader_denied(error: KafkaError) -> None:
    """Raise Denied, except for the group: the client looks up the coordinator of a group that a reader never joins."""
    if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
        stop_if_denied(error)


@contextlib.contextmanager
def _explain_mistakes() -> Iterator[None]:
    """Raise SettingsError for a property that the client does not have, or a value that it rejects."""
    try:
        yield
    except KafkaException as error:
        text: str = error.args[0].str()
        # For a file that it cannot use, the client reports only names of functions in OpenSSL.
        look_at = "; is the file there, readable and PEM? is ssl.key.password its password?" if "ssl." in text else ""
        raise SettingsError(f"kafka.properties (EMOTAG_KAFKA__PROPERTIES): {text}{look_at}") from error
