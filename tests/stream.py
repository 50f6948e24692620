"""Both ends of the stream for the tests: send texts, and read their results."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from emotag_schemas.result import EmotionResult
from emotag_worker.wire.record import Headers

from .conftest import QUIET, Topics


def an_hour_ago_ms() -> int:
    """Return a time that is recent enough for the broker to keep, and old enough to differ from its clock."""
    return int(time.time() - 3600) * 1000


@dataclass(frozen=True)
class Sent:
    """A record as it was produced."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_ms: int = field(default_factory=an_hour_ago_ms)


Place = tuple[int, int]
"""(partition, offset) in the input topic."""


@dataclass
class Read:
    """The records that a read_committed consumer has read from the output and dead-letter topics."""

    results: dict[Place, list[Message]] = field(default_factory=lambda: defaultdict(list))
    dead: dict[Place, list[Message]] = field(default_factory=lambda: defaultdict(list))
    arrivals_s: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Number of input records with a result or a dead letter."""
        return len(self.results.keys() | self.dead.keys()) if self.dead else len(self.results)

    def times(self) -> Counter[Place]:
        """Number of results and dead letters of each input record."""
        counts: Counter[Place] = Counter()
        for found in (self.results, self.dead):
            for place, messages in found.items():
                counts[place] += len(messages)
        return counts

    def parsed(self) -> dict[Place, EmotionResult]:
        """The result of each input record that has one."""
        return {place: EmotionResult.from_json(messages[0].value() or b"") for place, messages in self.results.items()}


def send(
    bootstrap_servers: str, topic: str, records: Iterable[Sent], *, compression: str = "none"
) -> dict[Place, Sent]:
    """Produce records, wait until all are acknowledged, and return their positions."""
    producer = new_producer(bootstrap_servers, compression=compression)
    placed: dict[Place, Sent] = {}

    def remember(sent: Sent) -> Any:
        def delivered(error: object, message: Message) -> None:
            assert error is None, error
            placed[cast("int", message.partition()), cast("int", message.offset())] = sent

        return delivered

    for sent in records:
        produce(producer, topic, sent, remember(sent))
        producer.poll(0)
    assert 0 == producer.flush(30)
    return placed


def new_producer(bootstrap_servers: str, *, compression: str = "none") -> Producer:
    """Return a producer that never writes a record twice, also for large records."""
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "message.max.bytes": 128 * 1024 * 1024,  # before compression
            "compression.type": compression,
        },
        logger=QUIET,
    )


def produce(producer: Producer, topic: str, sent: Sent, on_delivery: Any) -> None:
    """Pass one record to the producer."""
    producer.produce(
        topic,
        value=sent.value,
        key=sent.key,
        headers=list(sent.headers),
        timestamp=sent.timestamp_ms,
        on_delivery=on_delivery,
    )


class Reader:
    """A read_committed consumer of a test's output and dead-letter topics, from their beginning or from now on."""

    def __init__(self, bootstrap_servers: str, topics: Topics, *, at_end: bool = False) -> None:
        self.topics = topics
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"{topics.group}-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            },
            logger=QUIET,
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition, self._end_of(topic, partition) if at_end else 0)
                for topic in (topics.output, topics.dlq)
                for partition in range(topics.partitions)
            ]
        )
        self.read = Read()

    def _end_of(self, topic: str, partition: int) -> int:
        # An offset such as 0 for the beginning: without it the client looks it up later, and misses earlier records.
        _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        return end

    def add_partitions(self, topics: Topics) -> None:
        """Also read partitions that were added, from their beginning."""
        added = range(self.topics.partitions, topics.partitions)
        self.topics = topics
        self._consumer.incremental_assign(
            [TopicPartition(topic, partition, 0) for topic in (topics.output, topics.dlq) for partition in added]
        )

    def until(self, count: int, *, timeout_s: float) -> Read:
        """Read until *count* input records have a result, and a moment longer, in case a duplicate follows."""
        give_up_at = time.monotonic() + timeout_s
        while self.read.answered < count and time.monotonic() < give_up_at:
            self.take(0.2)
        while self.take(0.7):
            pass
        return self.read

    def take_for(self, seconds: float) -> None:
        """Read for this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.take(left)

    def take(self, timeout_s: float) -> bool:
        """Return one record, if it comes in time."""
        message = self._consumer.poll(timeout_s)
        if message is None or message.error() is not None:
            return False
        if message.topic() == self.topics.output:
            source = json.loads(message.value() or b"")["source"]
            self.read.results[source["partition"], source["offset"]].append(message)
        else:
            headers = header_map(message)
            place = int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])
            self.read.dead[place].append(message)
        self.read.arrivals_s.append(time.monotonic())
        return True

    def close(self) -> None:
        self._consumer.close()


def read_until(bootstrap_servers: str, topics: Topics, count: int, *, timeout_s: float) -> Read:
    """Read the results of the first *count* input records."""
    reader = Reader(bootstrap_servers, topics)
    read = reader.until(count, timeout_s=timeout_s)
    reader.close()
    return read


def header_map(message: Message) -> Mapping[str, str]:
    """Return a record's headers by name, as text; bytes that are not UTF-8 are replaced."""
    return {name: value.decode(errors="replace") for name, value in headers_of(message) if value is not None}


def headers_of(message: Message) -> Headers:
    """Return a record's headers, in order."""
    return cast("Headers", message.headers() or ())


def text(words: str, **fields: Any) -> Sent:
    """Return a record with a text."""
    key = fields.pop("key", None)
    return Sent(json.dumps({"text": words, **fields}, ensure_ascii=False).encode(), key=key)
