"""What a worker makes of records in one step, without a broker: decode, fingerprint, tag, encode."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from model.tagger import EmotionTagger
from worker.batching import StepBudget
from worker.cache import NoCache
from worker.encode import Encoder
from worker.offsets import Partition
from worker.pipeline import Pipeline
from worker.record import Outgoing, Record
from worker.settings import Settings
from worker.telemetry import Telemetry


class _Once:
    """A source that gives what it is told to."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def poll(self, *_: object, **__: object) -> list[Record]:
        records, self.records = self.records, []
        return records

    def stay(self) -> None:
        """Nobody is to be shown that it lives."""

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """Nobody counts."""

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        raise AssertionError("a step was too large")


class _Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[Outgoing] = []

    def open(self) -> None:
        """Nothing to do."""

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: object) -> None:
        self.written += records


class Step:
    """Takes records, gives what the worker writes of them, in order."""

    def __init__(self, tagger: EmotionTagger, settings: Settings | None = None) -> None:
        self._source, self._sink = _Once(), _Kept()
        self._pipeline = Pipeline(
            source=cast("Any", self._source),
            cache=NoCache(),
            tagger=tagger,
            sink=self._sink,
            encoder=Encoder({"name": "one"}, "emotions", "dead", "group", "0"),
            budget=StepBudget(objective_s=10.0, most=256, record_s=0.001),
            settings=settings or Settings(dlq={"max_ratio": 1}),
            telemetry=Telemetry(),
        )

    def write(self, records: Sequence[Record]) -> list[Outgoing]:
        """One step of *records*."""
        self._source.records = list(records)
        self._sink.written = []
        self._pipeline.advance()
        self._pipeline.finish()
        assert len(records) == len(self._sink.written)
        return self._sink.written
