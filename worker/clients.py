"""Kafka clients from settings: the only place where they are built."""

import logging
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient

from . import properties
from .settings import Settings

LOG = "librdkafka"
"""The clients' own lines go through this logger, not past it to stderr."""

OnError = Callable[[KafkaError], None]
OnDelivery = Callable[[KafkaError | None, Message], None]


def consumer(settings: Settings, on_error: OnError) -> Consumer:
    """The worker's member of the consumer group."""
    return Consumer(properties.consumer_properties(settings) | {"error_cb": on_error}, logger=logging.getLogger(LOG))


def producer(settings: Settings, on_error: OnError, on_delivery: OnDelivery) -> Producer:
    """The worker's producer of results and dead letters."""
    callbacks = {"error_cb": on_error, "on_delivery": on_delivery}
    return Producer(properties.producer_properties(settings) | callbacks, logger=logging.getLogger(LOG))


def plain_producer(settings: Settings, on_delivery: OnDelivery) -> Producer:
    """A producer that only feeds the input topic."""
    given = properties.plain_producer_properties(settings) | {"on_delivery": on_delivery}
    return Producer(given, logger=logging.getLogger(LOG))


def reader(settings: Settings) -> Consumer:
    """A consumer that only looks: it joins no group and commits nothing."""
    return Consumer(properties.reader_properties(settings), logger=logging.getLogger(LOG))


def admin(settings: Settings) -> AdminClient:
    """The client that creates topics."""
    return AdminClient(properties.admin_properties(settings), logger=logging.getLogger(LOG))
