"""Follow topics, from now on or from their beginning: `emotag tail`."""

import time
from collections.abc import Iterator, Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, Message, TopicPartition

from emotag_worker.kafka.topics import await_topics

CHECK_S = 10.0
"""Time without a record after which the topics are looked up again: the client is silent if the brokers are gone."""


def follow(
    consumer: Consumer, topics: Sequence[str], *, from_beginning: bool, idle_s: float | None = None
) -> Iterator[Message | None]:
    """Yield committed records of all partitions as they arrive; None after a second without a record.

    Joins no group and commits nothing: other consumers do not notice.

    Args:
        idle_s: end after this many seconds without a record; None never ends.

    Raises:
        TopicMissing: a topic does not exist.
        BrokerUnavailable: no broker answers, at the start or later.
        Denied: the brokers refuse this client.
    """
    offset = OFFSET_BEGINNING if from_beginning else OFFSET_END
    found = await_topics(consumer, topics)
    consumer.assign([TopicPartition(topic, number, offset) for topic, numbers in found.items() for number in numbers])
    last = checked = time.monotonic()
    while idle_s is None or time.monotonic() - last < idle_s:
        message = consumer.poll(1.0)
        if message is None:
            if time.monotonic() - max(last, checked) >= CHECK_S:
                await_topics(consumer, topics)
                checked = time.monotonic()
            yield None
        elif message.error() is None:
            last = time.monotonic()
            yield message
    await_topics(consumer, topics)
