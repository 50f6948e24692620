"""One contestant's own topics: filled while nobody reads, and read until every message is answered."""

import itertools
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from .messages import id_in, values
from .threads import PASSIVE

QUIET = logging.getLogger("librdkafka.benchmarks")
"""What clients say of a broker that is being shut down is no news."""

PARTITIONS = 4
MOMENT_S = 0.3
"""A duplicate would follow its original within this."""

QUIET_S = 90.0
"""Without an answer for so long, what is missing counts as lost; longer than a transaction that waits to be aborted."""


@dataclass(frozen=True)
class Outcome:
    """What became of one filling.

    Attributes:
        seconds: from the beginning given to the last first answer read as committed.
        lost, duplicated: messages without an answer; answers too many.
    """

    messages: int
    seconds: float
    lost: int
    duplicated: int

    @property
    def rate(self) -> float:
        """Messages a second."""
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
        """What `emotag run` needs to work in this lane."""
        return {
            **PASSIVE,
            "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "EMOTAG_KAFKA__GROUP_ID": self.group,
            "EMOTAG_INPUT__TOPIC": self.input,
            "EMOTAG_OUTPUT__TOPIC": self.output,
            "EMOTAG_DLQ__TOPIC": self.dlq,
        }

    def reserve(self, count: int) -> range:
        """Ids that no message of this lane has had."""
        ids = range(self._next_id, self._next_id + count)
        self._next_id = ids.stop
        return ids

    def fill(self, texts: Sequence[str]) -> range:
        """Produce *texts*, one after another to each partition in turn; returns their ids once all are there."""
        ids = self.reserve(len(texts))
        for value, partition in zip(values(texts, ids.start), itertools.cycle(self._partitions), strict=False):
            while True:
                try:
                    self.producer.produce(self.input, value, partition=partition)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        if self.producer.flush(60):
            raise TimeoutError("the local broker takes no messages")
        return ids

    def await_answers(self, ids: range, *, began: float) -> Outcome:
        """Read until each of *ids* is answered, and a moment longer."""
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
        """Let the consumer go."""
        self.consumer.close()

    def _read(self, timeout_s: float) -> list[int]:
        messages = self.consumer.consume(1000, timeout_s)
        return [id_in(message.value() or b"") for message in messages if message.error() is None]
