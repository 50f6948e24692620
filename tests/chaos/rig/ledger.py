"""The records of the input and their results, counted from the topics themselves."""

import contextlib
import dataclasses
import itertools
import json
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import QUIET, Topics
from tests.mixture import BAD, OTHER_BAD
from tests.stream import Read, Reader, Sent, new_producer, produce, text

AHEAD_MS = 2 * 24 * 3600 * 1000
"""The brokers refuse a result that is dated so far ahead."""
GROW_S = 120.0
"""Time for brokers to accept new partitions."""


@dataclass(frozen=True)
class Account:
    """The counts of one run.

    Attributes:
        ahead: records of the input that are dated ahead; the brokers refuse the first attempt to write their results.
        lost, duplicated: records of the input without a result; results beyond the first.
        disagreeing: texts whose results differ in their emotions, or in a digit of a score.
        disordered: results before the result of an earlier record with the same key in the same partition.
    """

    messages: int
    ahead: int
    results: int
    dead_letters: int
    lost: int
    duplicated: int
    disagreeing: int
    disordered: int

    @property
    def clean(self) -> bool:
        """True if no promise was broken."""
        return not (self.lost or self.duplicated or self.disagreeing or self.disordered)

    def line(self, **more: object) -> str:
        """The counts in one line, for people and scripts."""
        return json.dumps({**asdict(self), **more})


class Ledger:
    """Writes numbered records and reads their results.

    Args:
        bootstrap_servers: direct, past every proxy.

    Attributes:
        topics: with the partitions that were added.
        sent: records that were written, without those of transactions that are open or failed.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics, draw: random.Random) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.topics = topics
        self._records = _records(draw)
        self._reader = Reader(bootstrap_servers, topics)
        self._producer = new_producer(bootstrap_servers)
        self.sent = 0

    def write(self, count: int) -> None:
        """Write *count* more records; a broker that is down gets them when it is back."""
        for sent in itertools.islice(self._records, count):
            produce(self._producer, self.topics.input, sent, _delivered)
        self._producer.poll(0)
        self.sent += count

    def read(self, seconds: float) -> None:
        """Read results for this time."""
        self._reader.take_for(seconds)

    @property
    def answered(self) -> int:
        """Number of records with a result, of the results read so far."""
        return self._reader.read.answered

    def open_transaction(self, count: int) -> "Upstream":
        """Write *count* records in a transaction that stays open: the input's producers may use transactions too."""
        return Upstream(self, itertools.islice(self._records, count))

    def add_partitions(self, count: int) -> None:
        """Add partitions to all topics."""
        topics = dataclasses.replace(self.topics, partitions=self.topics.partitions + count)
        # The outputs first: a worker may write the results of a new input partition to the same partition there.
        for name in (topics.output, topics.dlq, topics.input):
            self._grow(name, topics.partitions)
        self.topics = topics
        self._reader.add_partitions(topics)

    def _grow(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic; try again while the brokers are harmed."""
        give_up_at = time.monotonic() + GROW_S
        while True:
            try:
                with AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=QUIET) as admin:
                    (growing,) = admin.create_partitions([NewPartitions(topic, partitions)]).values()
                    growing.result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.INVALID_PARTITIONS:  # an earlier try has succeeded
                    return
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.2)  # there is no event to wait for
            else:
                return

    def settle(self, patience_s: float) -> Account:
        """Wait for every result, then read all topics again from their beginning and count."""
        assert 0 == self._producer.flush(patience_s)
        self._reader.until(self.sent, timeout_s=patience_s)
        self._reader.close()
        places = self._read_places()
        reader = Reader(self.bootstrap_servers, self.topics)
        read = reader.until(len(places), timeout_s=60)
        reader.close()
        return account(read, places)

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def _read_places(self) -> dict[tuple[int, int], int]:
        """Return the timestamps of all committed records of the input topic, in milliseconds, by their places.

        Also of those that the producer believes were not written."""
        given = {"bootstrap.servers": self.bootstrap_servers, "group.id": "ledger", "enable.partition.eof": True}
        consumer = Consumer({**given, "isolation.level": "read_committed"}, logger=QUIET)
        consumer.assign(
            [TopicPartition(self.topics.input, partition, 0) for partition in range(self.topics.partitions)]
        )
        places: dict[tuple[int, int], int] = {}
        unread = set(range(self.topics.partitions))
        while unread:
            message = consumer.poll(60.0)
            assert message is not None, "the input topic cannot be read"
            if (error := message.error()) is None:
                places[cast("int", message.partition()), cast("int", message.offset())] = message.timestamp()[1]
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(cast("int", message.partition()))
        consumer.close()
        return places


class Upstream:
    """An open transaction of a producer of the input."""

    def __init__(self, ledger: Ledger, records: Iterable[Sent]) -> None:
        self._ledger = ledger
        self._producer = Producer(
            {
                "bootstrap.servers": ledger.bootstrap_servers,
                "transactional.id": f"upstream-{uuid.uuid4().hex}",
                "transaction.timeout.ms": 30_000,
                "message.max.bytes": 32 * 1024 * 1024,
            },
            logger=QUIET,
        )
        self._count = 0
        self._open = False
        with contextlib.suppress(KafkaException):  # the coordinator is away: then there is no transaction
            self._producer.init_transactions(10)
            self._producer.begin_transaction()
            for sent in records:
                produce(self._producer, ledger.topics.input, sent, None)
                self._count += 1
            self._producer.flush(5)
            self._open = True

    def commit(self) -> None:
        """Commit, if a broker answers."""
        if self._end(self._producer.commit_transaction):
            self._ledger.sent += self._count

    def abort(self) -> None:
        """Abort, if a broker answers; otherwise the transaction times out."""
        self._end(self._producer.abort_transaction)

    def _end(self, call: Callable[[float], None]) -> bool:
        if not self._open:
            return False
        try:
            call(20)
        except KafkaException as error:
            if error.args[0].txn_requires_abort():
                with contextlib.suppress(KafkaException):
                    self._producer.abort_transaction(20)
            return False
        return True


def _delivered(error: object, _: Message) -> None:
    assert error is None, error


def account(read: Read, places: Mapping[tuple[int, int], int]) -> Account:
    """Return the counts of the results, given the timestamps of the records of the input."""
    times = read.times()
    soon_ms = time.time() * 1000 + AHEAD_MS / 2
    return Account(
        messages=len(places),
        ahead=sum(at > soon_ms for at in places.values()),
        results=len(read.results),
        dead_letters=len(read.dead),
        lost=len(places.keys() - set(times)),
        duplicated=sum(times.values()) - len(times),
        disagreeing=_disagreeing(read),
        disordered=_disordered(read),
    )


def _disagreeing(read: Read) -> int:
    """Count texts with different results. A record's metadata names its text, because results do not contain it."""
    answers: dict[str, list[tuple[tuple[str, ...], dict[str, float]]]] = defaultdict(list)
    for result in read.parsed().values():
        words = str(result.metadata["words"] if isinstance(result.metadata, dict) else None)
        answers[words].append((tuple(emotion.label for emotion in result.emotions), dict(result.scores or {})))
    return sum(any(other != first for other in others) for first, *others in answers.values())


def _disordered(read: Read) -> int:
    last: dict[tuple[int, bytes], int] = {}
    count = 0
    for (partition, offset), messages in read.results.items():  # in the order of arrival
        key = messages[0].key()
        if key is not None:
            count += offset < last.get((partition, key), -1)
            last[partition, key] = offset
    return count


def _records(draw: random.Random) -> Iterator[Sent]:
    """Yield records without end: mostly repeats, some new texts, and one in twenty that cannot be tagged.

    One in 200 is dated ahead."""
    samples = read_sample_texts()
    bad = itertools.cycle([*BAD.values(), *OTHER_BAD])
    for number in itertools.count():
        if number % 20 == 7:
            yield next(bad)
            continue
        words = draw.choice(samples) if draw.random() < 0.9 else f"{draw.choice(samples)} {number}"
        key = f"k{number % 50}".encode() if number % 2 else None
        made = text(words, id=f"m{number}", metadata={"words": words}, key=key)
        ahead_ms = round(time.time() * 1000) + AHEAD_MS
        yield dataclasses.replace(made, timestamp_ms=ahead_ms) if number % 200 == 9 else made
