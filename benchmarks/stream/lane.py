"""The topics of one measured process: filled while it is stopped, then read until every message has a result."""

import itertools
import json
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""The environment variable by which the threads of a forward pass wait passively, for every process that tags.

By default they spin for milliseconds. If anything else needs a core, the spinning thread keeps its partner from
running, and a pass takes up to ten times as long; that depends on which thread of a program calls the model. The
benchmark would measure this instead of the streams.
"""

QUIET = logging.getLogger("librdkafka.benchmarks")
"""Log messages of clients about a broker that shuts down are expected, so they are discarded."""

PARTITIONS = 4
MOMENT_S = 0.3
"""A duplicate would follow the first result within this time."""

QUIET_S = 90.0
"""If no result comes for this long, the missing ones count as lost. Longer than the timeout of an open transaction."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run.

    Attributes:
        seconds: from the start of the clock until a read_committed consumer has the last result.
        lost, duplicated: the number of messages without a result, and of extra results.
    """

    messages: int
    seconds: float
    lost: int
    duplicated: int

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


class Lane:
    """An input, an output and a dead-letter topic, and a read_committed consumer of the output."""

    def __init__(self, bootstrap_servers: str, *, partitions: int = PARTITIONS) -> None:
        QUIET.addHandler(logging.NullHandler())
        QUIET.propagate = False
        unique = uuid.uuid4().hex[:8]
        self.bootstrap_servers = bootstrap_servers
        self._partitions = range(partitions)
        self.group = f"group-{unique}"
        self.input, self.output, self.dlq = (f"{name}-{unique}" for name in ("texts", "emotions", "dlq"))
        names = (self.input, self.output, self.dlq)
        admin = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)
        for future in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
            future.result()
        self.producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "compression.type": "lz4"},
            logger=QUIET,
        )
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"{self.group}-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            },
            logger=QUIET,
        )
        self.consumer.assign([TopicPartition(self.output, partition, 0) for partition in self._partitions])
        self._next_id = 0
        self._stray = 0

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which `emotag run` works in this lane."""
        return {
            **PASSIVE,
            "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "EMOTAG_KAFKA__GROUP_ID": self.group,
            "EMOTAG_INPUT__TOPIC": self.input,
            "EMOTAG_OUTPUT__TOPIC": self.output,
            "EMOTAG_DLQ__TOPIC": self.dlq,
            # Texts repeat, and must be computed each time, or come from Redis in benchmarks of repeats.
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",
        }

    def reserve(self, count: int) -> range:
        """Return *count* ids that no message of this lane has had."""
        ids = range(self._next_id, self._next_id + count)
        self._next_id = ids.stop
        return ids

    def fill(self, texts: Sequence[str]) -> range:
        """Produce *texts*, one to each partition in turn. Return their ids once the broker has all of them."""
        ids = self.reserve(len(texts))
        for value, partition in zip(encode_values(texts, ids.start), itertools.cycle(self._partitions), strict=False):
            while True:
                try:
                    self.producer.produce(self.input, value, partition=partition)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        if self.producer.flush(60):
            raise TimeoutError("the local broker did not accept all messages within 60 s")
        return ids

    def await_results(self, ids: range, *, began: float) -> Outcome:
        """Read until each of *ids* has a result, and `MOMENT_S` longer."""
        times = bytearray(len(ids))
        missing, last, quiet_at = len(ids), began, time.monotonic() + QUIET_S
        while missing and time.monotonic() < quiet_at:
            for name in self._read(0.02):
                if name not in ids:
                    self._stray += 1
                    continue
                if not times[name - ids.start]:
                    missing -= 1
                times[name - ids.start] = min(255, times[name - ids.start] + 1)
                last = time.monotonic()
                quiet_at = last + QUIET_S
        for name in self._read(MOMENT_S):
            if name in ids:
                times[name - ids.start] = min(255, times[name - ids.start] + 1)
            else:
                self._stray += 1
        duplicated = sum(count - 1 for count in times if count > 1) + self._stray
        self._stray = 0
        return Outcome(len(ids), last - began, missing, duplicated)

    def close(self) -> None:
        """Close the consumer."""
        self.consumer.close()

    def _read(self, timeout_s: float) -> list[int]:
        messages = self.consumer.consume(1000, timeout_s)
        return [parse_id(message.value() or b"") for message in messages if message.error() is None]


def encode_values(texts: Sequence[str], first_id: int) -> list[bytes]:
    """Return the values of records: JSON objects with ids that count up from *first_id*."""
    return [
        json.dumps({"text": text, "id": str(number)}, ensure_ascii=False).encode()
        for number, text in enumerate(texts, first_id)
    ]


def parse_id(value: bytes) -> int:
    """Return the id of a result. Every competitor writes it first, so no JSON is parsed while the clock runs."""
    return int(value.split(b'"', 4)[3])
