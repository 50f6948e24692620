"""The host's side of the stream, without a broker: bytes to tokens, probabilities to bytes, each stage timed.

    decode → fingerprint → tokenize → device → emotions and encode

Source and sink are lists. So this is the most that one worker process can do with its device.
"""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.results import Row
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds

TABLE = "host"
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

LOOP = "whole worker without a broker"
"""The name of rows in which device and host work at the same time."""


class Host:
    """The worker's processing of one batch of records, stage by stage, with each stage timed.

    Raises:
        ImportError: a library that reads or writes messages is not installed.
    """

    def __init__(self, tagger: EmotionTagger) -> None:
        from emotag_worker.cache import fingerprint
        from emotag_worker.wire import decode, encode

        self._tagger = tagger
        self._decode: Any = decode.decode
        self._fingerprint = fingerprint.Fingerprint(model="benchmark")
        self._answer: Any = encode.TextResult
        names = {"name": tagger.name, "version": "sha256:0", "thresholds": "sha256:0"}
        self._encoder = encode.RecordEncoder(names, "emotions", "texts.dlq", "emotag", "0")
        self.spent_s: dict[str, float] = defaultdict(float)

    def prepare(self, records: Sequence[Any]) -> tuple[list[Any], list[TokenIds]]:
        """Return the decoded records and their tokens."""
        with self._clock("decode"):
            decoded = [self._decode(record, INPUT) for record in records]
        with self._clock("fingerprint"):
            keys = [self._fingerprint(message.text) for message in decoded]
        assert len(keys) == len(records)
        with self._clock("tokenize"):
            return decoded, self._tagger.tokenize([message.text for message in decoded])

    def compute(self, tokens: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        """Return the probabilities of tokens; includes batching, padding and copying."""
        with self._clock("device, batching and padding"):
            return self._tagger.probabilities(tokens)

    def finish(
        self, records: Sequence[Any], decoded: Sequence[Any], tokens: Sequence[TokenIds], probabilities_BK: Any
    ) -> list[Any]:
        """Return the records to write."""
        now = datetime.now(UTC)
        with self._clock("emotions"):
            emotions = self._tagger.emotions(probabilities_BK)
        with self._clock("encode"):
            return [
                self._encoder.encode_result(
                    record, text, self._answer(pairs, None, truncated=ids.truncated, cached=False), now
                )
                for record, text, pairs, ids in zip(records, decoded, emotions, tokens, strict=True)
            ]

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent_s[stage] += time.perf_counter() - began


def make_records(texts: Sequence[str]) -> list[Any]:
    """Return the texts as records of 16 partitions, as the source returns them."""
    from emotag_worker.wire.record import Record

    return [
        Record("texts", number % 16, number // 16, None, json.dumps({"text": text, "id": str(number)}).encode())
        for number, text in enumerate(texts)
    ]


def measure(tagger: EmotionTagger, texts: Sequence[str], *, batch: int, repeats: int) -> list[Row]:
    """Return microseconds per message by stage, and messages per second with host and device at the same time.

    Args:
        batch: records per batch.

    Raises:
        ImportError: as `Host`.
    """
    incoming = make_records(texts)
    batches = [incoming[start : start + batch] for start in range(0, len(incoming), batch)]
    stages: dict[str, list[float]] = defaultdict(list)
    rates = []
    _run_serially(Host(tagger), batches)
    for _ in range(repeats):
        host = Host(tagger)
        _run_serially(host, batches)
        for stage, spent_s in host.spent_s.items():
            stages[stage].append(spent_s / len(incoming) * 1e6)
        began = time.perf_counter()
        _run_overlapped(Host(tagger), batches)
        rates.append(len(incoming) / (time.perf_counter() - began))
    of = f"batches of {batch:,}"
    rows = [
        Row(TABLE, f"{stage}, {of}", statistics.median(us), "µs/message", min(us), max(us))
        for stage, us in stages.items()
    ]
    loop = Row(TABLE, f"{LOOP}, {of}", statistics.median(rates), "messages/s", min(rates), max(rates))
    return [*rows, loop]


def _run_serially(host: Host, batches: Sequence[Sequence[Any]]) -> None:
    """Run one stage at a time, to measure the cost of each."""
    for batch in batches:
        decoded, tokens = host.prepare(batch)
        host.finish(batch, decoded, tokens, host.compute(tokens))


def _run_overlapped(host: Host, batches: Sequence[Sequence[Any]]) -> None:
    """Run as the worker does: the device computes batch N while the host reads N+1 and writes N-1."""
    under_way: tuple[Any, Any, Any, Future[Any]] | None = None
    with ThreadPoolExecutor(1) as device:
        for batch in batches:
            decoded, tokens = host.prepare(batch)
            computing = device.submit(host.compute, tokens)
            if under_way is not None:
                host.finish(*under_way[:3], under_way[3].result())
            under_way = (batch, decoded, tokens, computing)
        if under_way is not None:
            host.finish(*under_way[:3], under_way[3].result())
