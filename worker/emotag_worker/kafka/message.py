"""A message of the Kafka client as a Record."""

from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from emotag_worker.wire.record import Headers, Record


def read_record(message: Message) -> Record:
    """Convert *message*, which must not carry an error."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, timestamp_ms = message.timestamp()
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=message.key(),
        value=message.value(),
        headers=_read_headers(message),
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        leader_epoch=message.leader_epoch(),
    )


def _read_headers(message: Message) -> Headers | None:
    """Return the headers of *message*; None if the client cannot read them."""
    try:
        return cast("Headers", message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # Kafka accepts a header whose name is not UTF-8
        return None
