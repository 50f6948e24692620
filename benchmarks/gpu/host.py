"""The host's side of the stream, without a broker: bytes to tokens, probabilities to bytes, each stage timed.

    decode → fingerprint → tokenize → device → emotions and encode

Kafka's client is a stub that reads from a list and counts what it writes. So this is the most that one worker process
can do with its device. The emotions of each text are those of the shipped model, whichever model the device computes:
random weights would give a text two dozen labels, or none.
"""

import json
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.results import Row
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds

from .subject import REAL, Subject

TABLE = "host"
Probabilities = npt.NDArray[np.float32]

INPUT = SimpleNamespace(
    max_value_bytes=1 << 20,
    max_headers_bytes=1 << 16,
    max_metadata_bytes=1 << 16,
    format="json",
    text_path="text",
    id_path="id",
    metadata_path="metadata",
)
"""The worker's default settings, without `emotag_worker.settings`, whose libraries may not be installed."""

BATCHES = (256, 8_192)
"""Records per batch: a small batch, and one that keeps a GPU busy."""

TEXTS = 32_768
LOOP = "host and device, one process without a broker"
"""The name of rows in which device and host work at the same time."""


def measure(subject: Subject) -> list[Row]:
    """Return µs per message by stage, and messages per second with host and device at the same time, for each model.

    Raises:
        ImportError: a library that reads or writes messages is not installed.
    """
    from emotag_worker.malloc import collect_rarely

    texts = subject.take(REAL, TEXTS)
    shipped, *_ = subject.models
    known_NK = shipped.tagger.probabilities(shipped.tagger.tokenize(texts))
    rows = []
    collect_rarely()  # as a worker does when it has started
    for model in subject.models:
        for batch in (2,) if subject.quick else BATCHES:
            measured = _measure_host(model.tagger, texts, known_NK, batch=batch, repeats=2 if subject.quick else 5)
            rows += [
                Row(TABLE, f"{model.name}: {row.name}", row.value, row.unit, row.low, row.high) for row in measured
            ]
    return rows


def _measure_host(
    tagger: EmotionTagger, texts: Sequence[str], known_NK: Probabilities, *, batch: int, repeats: int
) -> list[Row]:
    stages: dict[str, list[float]] = defaultdict(list)
    rates = []
    _run_serially(Host(tagger, known_NK), StubClient(texts), batch)
    for _ in range(repeats):
        host = Host(tagger, known_NK)
        _run_serially(host, StubClient(texts), batch)
        for stage, spent_s in host.spent_s.items():
            stages[stage].append(spent_s / len(texts) * 1e6)
        client = StubClient(texts)
        began = time.perf_counter()
        run_overlapped(Host(tagger, known_NK), client, batch, until=partial(_is_read, client))
        rates.append(client.written / (time.perf_counter() - began))
    of = f"batches of {batch:,}"
    rows = [
        Row(TABLE, f"{stage}, {of}", statistics.median(us), "µs/message", min(us), max(us))
        for stage, us in stages.items()
    ]
    return [*rows, Row(TABLE, f"{LOOP}, {of}", statistics.median(rates), "messages/s", min(rates), max(rates))]


def _is_read(client: "StubClient") -> bool:
    return client.position >= len(client.values)


class StubClient:
    """Stands in for Kafka's client: an endless backlog in which the same messages repeat, and a sink that counts.

    Attributes:
        position: records read so far.
        written, written_bytes: records written so far, and the bytes of their values.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from emotag_worker.wire.record import Record

        self._record = Record
        self.values = [json.dumps({"text": text, "id": str(number)}).encode() for number, text in enumerate(texts)]
        self.position = self.written = self.written_bytes = 0

    def poll(self, count: int) -> list[Any]:
        """Return the next *count* records; their offsets count all partitions together."""
        numbers = range(self.position, self.position + count)
        self.position += count
        values, record = self.values, self._record
        return [record("texts", number % 16, number, None, values[number % len(values)]) for number in numbers]

    def produce(self, records: Sequence[Any]) -> None:
        """Accept the *records* to write."""
        self.written += len(records)
        self.written_bytes += sum(len(record.value) for record in records)


@dataclass(frozen=True)
class _Prepared:
    records: Sequence[Any]
    decoded: Sequence[Any]
    tokens: Sequence[TokenIds]


class Host:
    """The worker's processing of one batch of records, stage by stage, with each stage timed.

    Args:
        known_NK: the probabilities that decide the emotions, for each message of the backlog.

    Raises:
        ImportError: a library that reads or writes messages is not installed.
    """

    def __init__(self, tagger: EmotionTagger, known_NK: Probabilities) -> None:
        from emotag_worker.cache import fingerprint
        from emotag_worker.wire import decode, encode

        self.concurrency = tagger.concurrency
        self._tagger = tagger
        self._known_NK = known_NK
        self._decode: Any = decode.decode
        self._fingerprint = fingerprint.Fingerprint(model="benchmark")
        self._answer: Any = encode.TextResult
        names = {"name": tagger.name, "version": "sha256:0", "thresholds": "sha256:0", "precision": "fp16"}
        self._encoder = encode.RecordEncoder(names, "emotions", "texts.dlq", "emotag", "0")
        self.spent_s: dict[str, float] = defaultdict(float)

    def prepare(self, records: Sequence[Any]) -> _Prepared:
        """Return the decoded records and their tokens."""
        with self._clock("decode"):
            decoded = [self._decode(record, INPUT) for record in records]
        with self._clock("fingerprint"):
            keys = [self._fingerprint(message.text) for message in decoded]
        assert len(keys) == len(records)
        with self._clock("tokenize"):
            return _Prepared(records, decoded, self._tagger.tokenize([message.text for message in decoded]))

    def compute(self, tokens: Sequence[TokenIds]) -> Probabilities:
        """Return the probabilities of tokens; includes planning, packing and copying."""
        with self._clock("device, planning and packing"):
            return self._tagger.probabilities(tokens)

    def finish(self, batch: _Prepared) -> list[Any]:
        """Return the records to write."""
        now = datetime.now(UTC)
        with self._clock("emotions"):
            rows = (batch.records[0].offset + np.arange(len(batch.records))) % len(self._known_NK)
            emotions = self._tagger.emotions(self._known_NK[rows])
        with self._clock("encode"):
            return [
                self._encoder.encode_result(
                    record, text, self._answer(pairs, None, truncated=ids.truncated, cached=False), now
                )
                for record, text, pairs, ids in zip(batch.records, batch.decoded, emotions, batch.tokens, strict=True)
            ]

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent_s[stage] += time.perf_counter() - began


def _run_serially(host: Host, client: StubClient, size: int) -> None:
    """Read the backlog once, one stage at a time, to measure the cost of each."""
    while not _is_read(client):
        batch = host.prepare(client.poll(size))
        host.compute(batch.tokens)
        client.produce(host.finish(batch))


def run_overlapped(host: Host, client: StubClient, size: int, *, until: Callable[[], bool]) -> None:
    """Run as the worker does: the device computes batch N while the host reads N+1 and writes N-1."""
    in_flight: deque[tuple[_Prepared, Future[Any]]] = deque()
    with ThreadPoolExecutor(host.concurrency) as device:
        while not until():
            batch = host.prepare(client.poll(size))
            in_flight.append((batch, device.submit(host.compute, batch.tokens)))
            if len(in_flight) > 1:
                _finish_oldest(host, client, in_flight)
        while in_flight:
            _finish_oldest(host, client, in_flight)


def _finish_oldest(host: Host, client: StubClient, in_flight: deque[tuple[_Prepared, Future[Any]]]) -> None:
    batch, computing = in_flight.popleft()
    computing.result()
    client.produce(host.finish(batch))
