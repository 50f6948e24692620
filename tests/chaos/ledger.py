"""What went in and what came out, counted from the topics themselves."""

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from confluent_kafka import Consumer, Message, TopicPartition

from tests.conftest import QUIET, Topics
from tests.mixture import BAD, OTHER_BAD
from tests.stream import Read, Reader, Sent, new_producer, produce, text
from worker.demo import sample_texts

TOLERANCE = 1e-3
"""Between two answers to one text: the contract's."""


@dataclass(frozen=True)
class Account:
    """One run, in one line.

    Attributes:
        lost, duplicated: records of the input without an answer; answers beyond the first.
        disagreeing: texts whose answers differ in their emotions, or by more than 1e-3 in a score.
        disordered: results that stand before one of an earlier record with the same key of the same partition.
    """

    messages: int
    results: int
    dead_letters: int
    lost: int
    duplicated: int
    disagreeing: int
    disordered: int

    @property
    def clean(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicated or self.disagreeing or self.disordered)

    def line(self, **more: object) -> str:
        """For a person and for a script."""
        return json.dumps({**asdict(self), **more})


class Ledger:
    """Writes numbered records, reads answers.

    Args:
        bootstrap_servers: direct, past every proxy.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics, draw: random.Random) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = topics
        self._records = _records(draw)
        self._reader = Reader(bootstrap_servers, topics)
        self._producer = new_producer(bootstrap_servers)
        self.sent = 0

    def write(self, count: int) -> None:
        """So many more; a broker that is away gets them when it is back."""
        for sent in itertools.islice(self._records, count):
            produce(self._producer, self._topics.input, sent, _delivered)
        self._producer.poll(0)
        self.sent += count

    def read(self, seconds: float) -> None:
        """Take what comes in that time."""
        self._reader.take_for(seconds)

    @property
    def answered(self) -> int:
        """Records with an answer, as far as was read."""
        return self._reader.read.answered

    def settle(self, patience_s: float) -> Account:
        """Wait for every answer, then read both topics anew from their beginning and count."""
        assert 0 == self._producer.flush(patience_s)
        self._reader.until(self.sent, timeout_s=patience_s)
        self._reader.close()
        reader = Reader(self._bootstrap_servers, self._topics)
        read = reader.until(self.sent, timeout_s=30)
        reader.close()
        return account(read, self._places())

    def close(self) -> None:
        """Let the reader go."""
        self._reader.close()

    def _places(self) -> set[tuple[int, int]]:
        """Every record that lies in the input topic, whatever the one who wrote it heard of that."""
        consumer = Consumer({"bootstrap.servers": self._bootstrap_servers, "group.id": "ledger"}, logger=QUIET)
        places: set[tuple[int, int]] = set()
        for partition in range(self._topics.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(self._topics.input, partition), timeout=30)
            places |= {(partition, offset) for offset in range(low, high)}
        consumer.close()
        return places


def _delivered(error: object, _: Message) -> None:
    assert error is None, error


def account(read: Read, places: set[tuple[int, int]]) -> Account:
    """Of what came out, given what went in."""
    times = read.times()
    return Account(
        messages=len(places),
        results=len(read.results),
        dead_letters=len(read.dead),
        lost=len(places - set(times)),
        duplicated=sum(times.values()) - len(times),
        disagreeing=_disagreeing(read),
        disordered=_disordered(read),
    )


def _disagreeing(read: Read) -> int:
    """The text of a record is told by its metadata: results carry none."""
    answers: dict[str, list[tuple[tuple[str, ...], dict[str, float]]]] = defaultdict(list)
    for result in read.parsed().values():
        words = str((result.metadata or {}).get("words"))
        answers[words].append((tuple(emotion.label for emotion in result.emotions), dict(result.scores or {})))
    return sum(
        1
        for first, *others in answers.values()
        if any(
            labels != first[0] or any(abs(score - first[1][label]) > TOLERANCE for label, score in scores.items())
            for labels, scores in others
        )
    )


def _disordered(read: Read) -> int:
    last: dict[tuple[int, bytes], int] = {}
    count = 0
    for (partition, offset), messages in read.results.items():  # in the order of their arrival
        key = messages[0].key()
        if key is not None:
            count += offset < last.get((partition, key), -1)
            last[partition, key] = offset
    return count


def _records(draw: random.Random) -> Iterator[Sent]:
    """Without end: mostly repeats, some texts of their own, one in twenty that cannot be tagged."""
    samples = sample_texts()
    bad = itertools.cycle([*BAD.values(), *OTHER_BAD])
    for number in itertools.count():
        if number % 20 == 7:
            yield next(bad)
            continue
        words = draw.choice(samples) if draw.random() < 0.9 else f"{draw.choice(samples)} {number}"
        key = f"k{number % 50}".encode() if number % 2 else None
        yield text(words, id=f"m{number}", metadata={"words": words}, key=key)
