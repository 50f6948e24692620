"""Sample the newest records of the input topic, to find out if any record can be read with the settings."""

import time
from collections.abc import Iterator
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import BadRecord, WorkerError
from emotag_worker.kafka import clients
from emotag_worker.kafka.message import read_record
from emotag_worker.kafka.topics import await_topics
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import Settings
from emotag_worker.wire.decode import decode
from emotag_worker.wire.record import Record

NEWEST = 50
"""Offsets from the end of each partition. Markers of transactions are among them."""

SAMPLE_S = 10.0
"""Longest time for the sample. Meanwhile the worker polls nothing, so keep it far below max.poll.interval.ms."""

WAIT_S = 0.5
"""Longest wait for one record."""


def can_read_newest(settings: Settings, telemetry: Telemetry) -> bool:
    """Return True, and log a burst, if any of the newest records of the input topic has a text.

    All partitions are sampled, also those of other workers. The sample joins no group and commits nothing. If brokers
    do not answer, the result is False.
    """
    consumer = clients.create_finite_reader(settings)
    try:
        found = any(_has_text(record, settings) for record in read_newest(consumer, settings.input.topic))
    except (KafkaException, WorkerError):
        found = False
    finally:
        consumer.close()
    if found:
        telemetry.report_dead_letter_burst(settings.dlq.stop_after)
    return found


def read_newest(consumer: Consumer, topic: str) -> Iterator[Record]:
    """Yield the newest committed records of each partition, for at most `SAMPLE_S`.

    Args:
        consumer: reports the end of a partition, as `clients.create_finite_reader` creates it.

    Raises:
        KafkaException, WorkerError: the brokers do not answer, or refuse.
    """
    give_up_at = time.monotonic() + SAMPLE_S
    unfinished = set(await_topics(consumer, [topic])[topic])
    consumer.assign([_find_start(consumer, topic, number, give_up_at) for number in sorted(unfinished)])
    while unfinished and time.monotonic() < give_up_at:
        message = consumer.poll(WAIT_S)
        if message is None:
            continue
        if message.error() is None:
            yield read_record(message)
        else:  # nearly always the end of a partition, which comes again after each new record
            unfinished.discard(cast("int", message.partition()))


def _find_start(consumer: Consumer, topic: str, partition: int, give_up_at: float) -> TopicPartition:
    left_s = give_up_at - time.monotonic()
    bounds = left_s > 0 and consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=left_s)
    if not bounds:  # the client returns this if a broker does not answer
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    first, end = bounds
    return TopicPartition(topic, partition, max(first, end - NEWEST))


def _has_text(record: Record, settings: Settings) -> bool:
    try:
        decode(record, settings.input)
    except BadRecord:
        return False
    return True
