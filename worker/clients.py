"""Kafka clients from settings: the one place where they are built."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from . import properties
from .broker_errors import stop_if_denied
from .progress import NotingProducer
from .settings import Settings, SettingsProblem
from .telemetry import CLIENT_LOG

OUT_OF_RANGE = "Offset out of range"

OnError = Callable[[KafkaError], None]
OnDelivery = Callable[[KafkaError | None, Message], None]


def consumer(settings: Settings, on_error: OnError, on_gap: Callable[[str], None]) -> Consumer:
    """The worker's member of the consumer group.

    Args:
        on_gap: told, in words, where the next record to read is no longer there: the client only logs it.
    """
    given = properties.consumer_properties(settings) | {"error_cb": on_error}
    with _mistakes_named():
        return Consumer(given, logger=_GapsTold(logging.getLogger(CLIENT_LOG), on_gap))


def producer(settings: Settings, on_error: OnError, on_delivery: OnDelivery) -> Producer:
    """The worker's producer of results and dead letters."""
    given = properties.producer_properties(settings) | {"error_cb": on_error, "on_delivery": on_delivery}
    with _mistakes_named():
        return Producer(given, logger=logging.getLogger(CLIENT_LOG))


def plain_producer(settings: Settings, on_delivery: OnDelivery) -> Producer:
    """A producer that only feeds the input topic; its `poll` and `flush` raise Denied."""
    given = properties.plain_producer_properties(settings) | {"on_delivery": on_delivery, "error_cb": stop_if_denied}
    with _mistakes_named():
        return Producer(given, logger=logging.getLogger(CLIENT_LOG))


def reader(settings: Settings) -> Consumer:
    """A consumer that only looks: it joins no group and commits nothing; its `poll` raises Denied."""
    return _looking(properties.reader_properties(settings), _stop_if_no_reader)


def dead_letter_reader(settings: Settings) -> Consumer:
    """A `reader` that also says where a partition ends."""
    return _looking(properties.dead_letter_reader_properties(settings), _stop_if_no_reader)


def replay_consumer(settings: Settings) -> Consumer:
    """The same, in the group that remembers how far dead letters were put back."""
    return _looking(properties.replay_consumer_properties(settings), stop_if_denied)


def replay_producer(settings: Settings, on_delivery: OnDelivery) -> NotingProducer:
    """A producer of records that are put back."""
    given = properties.replay_producer_properties(settings) | {"on_delivery": on_delivery}
    with _mistakes_named():
        return NotingProducer(given, logger=logging.getLogger(CLIENT_LOG))


def admin(settings: Settings, *, polled: bool = False) -> AdminClient:
    """The client that creates topics, and asks brokers how far they are.

    Args:
        polled: its `poll` is going to be called, and raises Denied. For one that is not, errors would only pile up.
    """
    given = properties.admin_properties(settings) | ({"error_cb": stop_if_denied} if polled else {})
    with _mistakes_named():
        return AdminClient(given, logger=logging.getLogger(CLIENT_LOG))


def _looking(given: dict[str, Any], on_error: OnError) -> Consumer:
    with _mistakes_named():
        return Consumer(given | {"error_cb": on_error}, logger=logging.getLogger(CLIENT_LOG))


def _stop_if_no_reader(error: KafkaError) -> None:
    """The client looks for the coordinator of any group that it is named for, but a reader has no use for one."""
    if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
        stop_if_denied(error)


class _GapsTold(logging.LoggerAdapter[logging.Logger]):
    """A logger that hands on one of librdkafka's lines, which is an event of ours."""

    def __init__(self, logger: logging.Logger, on_gap: Callable[[str], None]) -> None:
        super().__init__(logger)
        self._on_gap = on_gap

    def log(self, level: int, msg: object, *args: Any, **keywords: Any) -> None:
        if args and args[0] == "OFFSET" and OUT_OF_RANGE in str(args[-1]):
            self._on_gap(str(args[-1]))
        super().log(level, msg, *args, **keywords)


@contextlib.contextmanager
def _mistakes_named() -> Iterator[None]:
    """A property that the client does not know, or a value that it does not take, is a mistake in the settings."""
    try:
        yield
    except KafkaException as error:
        said: str = error.args[0].str()
        # Of a file that it cannot use, the client says no more than its libraries' own names for what they were at.
        look_at = "; is the file there, readable and PEM? is ssl.key.password its own?" if "ssl." in said else ""
        raise SettingsProblem(f"kafka.properties (EMOTAG_KAFKA__PROPERTIES): {said}{look_at}") from error
