"""A tagger without a model, and a pipeline between a scripted consumer group, sink and cache."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from emotag_model.long_texts.modes import LongTexts
from emotag_model.reasons.spans import Spans
from emotag_model.scope.rules import TextScope
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import TokenIds
from emotag_worker.batch_budget import BatchBudget
from emotag_worker.cache.entry import Entry
from emotag_worker.cache.redis_cache import NoCache
from emotag_worker.commit_queue import CommitQueue
from emotag_worker.errors import BatchAborted
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.pipeline import Pipeline
from emotag_worker.protocols import Cache, Group, Tagger
from emotag_worker.settings import Settings
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Outgoing, Partition
from tests.unit.worker.kafka.scripted import ScriptedConsumer, ScriptedMessage, Turn, source_of

POISON = "poison"


class OneLabel:
    """A tagger that finds joy in every text but the poisonous one, on which it fails."""

    version, engine, precision = "sha256:0", "openvino", "fp32"
    labels = ("joy",)
    thresholds = Thresholds.fixed(labels, 0.5)
    long_texts: LongTexts = "windows"
    concurrency = 1
    computed_tokens = 0

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        return [TokenIds((len(text),), truncated=False) for text in texts]

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        return [TextScope("ok", "en") for _ in texts]

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        found = np.ones((len(texts), 1), dtype=np.float32)
        return found, {row: RuntimeError() for row, text in enumerate(texts) if text.ids == (len(POISON),)}

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        found, errors = self.probabilities_or_errors(texts)
        return found, np.zeros((len(texts), 1, 3, 3), np.uint16), errors

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        joined_K: npt.NDArray[np.float32] = probabilities_WK.max(axis=0)
        return joined_K

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        return [()] * len(probabilities_BK)


class TwoLabels:
    """A tagger whose probabilities are the ids of a text in hundredths; it fails on texts that begin with 13.

    The first character of each text is the reason for joy, and the first three that for anger.
    """

    version, engine, precision = "sha256:0", "openvino", "fp32"
    labels = ("joy", "anger")
    thresholds = Thresholds.fixed(labels, 0.5)
    long_texts: LongTexts = "windows"
    concurrency = 1
    computed_tokens = 0

    def __init__(self) -> None:
        self.calls = 0

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        raise AssertionError("tokens are given")

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        raise AssertionError("scopes are given")

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        self.calls += 1
        found = np.array([text.ids for text in texts], np.float32) / np.float32(100)
        return found, {row: RuntimeError("broken") for row, text in enumerate(texts) if text.ids[0] == 13}

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        found, errors = self.probabilities_or_errors(texts)
        spans = np.zeros((len(texts), 2, 3, 3), np.uint16)
        spans[:, 0, 0], spans[:, 1, 0] = (0, 1, 65_535), (0, 3, 13_107)
        return found, spans, errors

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        joined_K: npt.NDArray[np.float32] = probabilities_WK.max(axis=0)
        return joined_K

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        rows = probabilities_BK.tolist()
        return [tuple((label, p) for label, p in zip(self.labels, row, strict=True) if p >= 0.5) for row in rows]


@dataclass
class ScriptedSink:
    """A sink that aborts a given number of batches, then writes."""

    aborts: int = 0
    transactional: bool = True
    written: list[tuple[list[str], Mapping[Partition, int]]] = field(default_factory=list)
    members: list[object] = field(default_factory=list)

    def open(self) -> None:
        pass

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Group,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        if self.aborts:
            self.aborts -= 1
            raise BatchAborted("aborted")
        self.members.append(group.group_metadata())
        self.written.append(([record.topic for record in records], offsets))


def message(partition: int, offset: int, words: str = "hello") -> Turn:
    return Turn(message=ScriptedMessage((partition, offset), b'{"text": "%b"}' % words.encode()))


def build(
    sink: ScriptedSink,
    *turns: Turn,
    tagger: Tagger | None = None,
    telemetry: Telemetry | None = None,
    interval_s: float = 0.0,
    record_s: float = 0.001,
    mark_alive: Callable[[], None] = lambda: None,
    cache: Cache | None = None,
    settings: Settings | None = None,
) -> tuple[Pipeline, ScriptedConsumer]:
    """Return a pipeline that owns partitions 0 and 1, and its consumer."""
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *turns])
    source = source_of(consumer)
    pipeline = Pipeline(
        source=source,
        cache=cache or NoCache(),
        tagger=tagger or OneLabel(),
        sink=sink,
        encoder=RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0"),
        budget=BatchBudget(objective_s=1.0, most=256, record_s=record_s),
        commits=CommitQueue(interval_s=interval_s, max_bytes=1_000_000),
        settings=settings or Settings(),
        telemetry=telemetry or Telemetry(),
        mark_alive=mark_alive,
    )
    source.subscribe(before_revoke=pipeline.finish, when_lost=pipeline.forget)
    return pipeline, consumer


def advance(pipeline: Pipeline, times: int) -> None:
    for _ in range(times):
        pipeline.advance()


class Recorded(NoCache):
    """A cache that answers every key with one entry, and records the keys and what it is told to remember."""

    def __init__(self, entry: Entry | None = None) -> None:
        self.entry = entry
        self.keys: list[str] = []
        self.remembered: dict[str, Entry] = {}

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        self.keys += keys
        return {} if self.entry is None else dict.fromkeys(keys, self.entry)

    def remember(self, entries: Mapping[str, Entry]) -> None:
        self.remembered |= entries
