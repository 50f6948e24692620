"""The host's side of the stream, without a broker: bytes to tokens, probabilities to bytes, and where the time goes.

    decode → fingerprint → tokenise → device → emotions and encode

Source and sink are lists. What is left is what one process of the worker can carry beside its device.
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

from model.tagger import EmotionTagger
from model.tokens import TokenIds

from .results import Row

TABLE = "host"
INPUT = SimpleNamespace(max_value_bytes=1 << 20, format="json", text_path="text", max_metadata_bytes=1 << 16)
"""The worker's defaults, without its settings, whose library may not be here."""

LOOP = "whole worker without a broker"
"""Rows of the loop in which the device works beside the host."""


class Host:
    """What the worker does to one step of records, stage by stage, by the clock.

    Raises:
        ImportError: what reads and writes messages is not installed.
    """

    def __init__(self, tagger: EmotionTagger) -> None:
        from worker import decode, encode, fingerprint

        self._tagger = tagger
        self._decode: Any = decode.decode
        self._fingerprint = fingerprint.Fingerprint(model="benchmark")
        self._answer: Any = encode.Answer
        names = {"name": tagger.name, "version": "sha256:0", "thresholds": "sha256:0"}
        self._encoder = encode.Encoder(names, "emotions", "texts.dlq", "emotag", "0")
        self.spent_s: dict[str, float] = defaultdict(float)

    def before(self, records: Sequence[Any]) -> tuple[list[Any], list[TokenIds]]:
        """Records to what was decoded of them, and their tokens."""
        with self._clock("decode"):
            decoded = [self._decode(record, INPUT) for record in records]
        with self._clock("fingerprint"):
            keys = [self._fingerprint(found.text) for found in decoded]
        assert len(keys) == len(records)
        with self._clock("tokenise"):
            return decoded, self._tagger.tokenise([found.text for found in decoded])

    def device(self, tokens: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        """Tokens to probabilities: batching, padding and copying are in it."""
        with self._clock("device, batching and padding"):
            return self._tagger.probabilities(tokens)

    def after(
        self, records: Sequence[Any], decoded: Sequence[Any], tokens: Sequence[TokenIds], found_BK: Any
    ) -> list[Any]:
        """Probabilities to the records that would be written."""
        now = datetime.now(UTC)
        with self._clock("emotions"):
            emotions = self._tagger.emotions(found_BK)
        with self._clock("encode"):
            return [
                self._encoder.result(
                    record, text, self._answer(pairs, None, truncated=ids.truncated, cached=False), now
                )
                for record, text, pairs, ids in zip(records, decoded, emotions, tokens, strict=True)
            ]

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent_s[stage] += time.perf_counter() - began


def records(texts: Sequence[str]) -> list[Any]:
    """Texts as the source would give them: JSON, 16 partitions."""
    from worker.record import Record

    return [
        Record("texts", number % 16, number // 16, None, json.dumps({"text": text, "id": str(number)}).encode())
        for number, text in enumerate(texts)
    ]


def measure(tagger: EmotionTagger, texts: Sequence[str], *, step: int, repeats: int) -> list[Row]:
    """Microseconds a message by stage, and messages a second with the device beside the host.

    Args:
        step: records of one step.

    Raises:
        ImportError: as `Host`.
    """
    incoming = records(texts)
    steps = [incoming[start : start + step] for start in range(0, len(incoming), step)]
    stages: dict[str, list[float]] = defaultdict(list)
    rates = []
    _serially(Host(tagger), steps)
    for _ in range(repeats):
        host = Host(tagger)
        _serially(host, steps)
        for stage, spent_s in host.spent_s.items():
            stages[stage].append(spent_s / len(incoming) * 1e6)
        began = time.perf_counter()
        _overlapping(Host(tagger), steps)
        rates.append(len(incoming) / (time.perf_counter() - began))
    of = f"steps of {step:,}"
    rows = [
        Row(TABLE, f"{stage}, {of}", statistics.median(found), "µs/message", min(found), max(found))
        for stage, found in stages.items()
    ]
    loop = Row(TABLE, f"{LOOP}, {of}", statistics.median(rates), "messages/s", min(rates), max(rates))
    return [*rows, loop]


def _serially(host: Host, steps: Sequence[Sequence[Any]]) -> None:
    """One thing at a time: each stage's own cost."""
    for step in steps:
        decoded, tokens = host.before(step)
        host.after(step, decoded, tokens, host.device(tokens))


def _overlapping(host: Host, steps: Sequence[Sequence[Any]]) -> None:
    """As the worker does it: the device has step N while the host reads N+1 and writes N-1."""
    under_way: tuple[Any, Any, Any, Future[Any]] | None = None
    with ThreadPoolExecutor(1) as device:
        for step in steps:
            decoded, tokens = host.before(step)
            computing = device.submit(host.device, tokens)
            if under_way is not None:
                host.after(*under_way[:3], under_way[3].result())
            under_way = (step, decoded, tokens, computing)
        if under_way is not None:
            host.after(*under_way[:3], under_way[3].result())
