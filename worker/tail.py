"""The output topic, followed from now on or from its beginning."""

import time
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from .broker_errors import stop_if_denied
from .errors import EmotagError

WAIT_S = 10.0


class TailFailed(EmotagError):
    """The topic cannot be followed, and why."""


def follow(
    consumer: Consumer, topics: list[str], *, from_beginning: bool, idle_s: float | None = None
) -> Iterator[Message | None]:
    """Committed records of all partitions as they come; None where a second passed without one.

    No group is joined and nothing is committed: whoever looks takes nothing from anyone.

    Args:
        idle_s: ends after so many seconds without a record; None never ends.

    Raises:
        TailFailed: a topic does not exist, or the brokers cannot be reached.
    """
    partitions = []
    for topic in topics:
        try:
            found = consumer.list_topics(topic, timeout=WAIT_S).topics[topic]
        except KafkaException as error:
            consumer.poll(0)  # raises Denied where that is why
            raise TailFailed(f"no broker answers: {error.args[0].str()}") from error
        if found.error is not None:
            stop_if_denied(found.error, of=topic)
            raise TailFailed(f"{topic}: {found.error.str()}; create it with: emotag topics create")
        offset = OFFSET_BEGINNING if from_beginning else OFFSET_END
        partitions += [TopicPartition(topic, partition, offset) for partition in found.partitions]
    consumer.assign(partitions)
    last = time.monotonic()
    while idle_s is None or time.monotonic() - last < idle_s:
        message = consumer.poll(1.0)
        if message is None:
            yield None
        elif message.error() is None:
            last = time.monotonic()
            yield message
