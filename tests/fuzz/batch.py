"""One batch of a worker without a broker: decode, fingerprint, tag, encode."""

from collections.abc import Callable, Collection, Mapping, Sequence

from emotag_model.tagger import EmotionTagger
from emotag_worker.batch_budget import BatchBudget
from emotag_worker.cache.redis_cache import NoCache
from emotag_worker.commit_queue import CommitQueue
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.pipeline import Pipeline
from emotag_worker.settings import DlqSettings, Settings
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Outgoing, Partition, Record
from tests.unit.worker.kafka.scripted import NoGroup


class _Once:
    """A source that returns given records once."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def subscribe(self, *, before_revoke: Callable[[], None], when_lost: Callable[[], Mapping[Partition, int]]) -> None:
        """There is no group."""

    def poll(self, max_records: int, max_bytes: int, *, timeout_s: float) -> list[Record]:
        records, self.records = self.records, []
        return records

    def stay(self) -> None:
        """There is no group."""

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """There is no lag."""

    def find_drained(self) -> Mapping[Partition, int]:
        return {}

    def member(self) -> NoGroup:
        return NoGroup()

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        raise AssertionError("a batch was too large")


class _Kept:
    """A sink that keeps the records."""

    transactional = True

    def __init__(self) -> None:
        self.written: list[Outgoing] = []

    def open(self) -> None:
        """Nothing to do."""

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: object,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        self.written += records


class Batch:
    """Records in, and the records that the worker writes for them out, in order."""

    def __init__(self, tagger: EmotionTagger, settings: Settings | None = None) -> None:
        self._source, self._sink = _Once(), _Kept()
        self._pipeline = Pipeline(
            source=self._source,
            cache=NoCache(),
            tagger=tagger,
            sink=self._sink,
            encoder=RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0"),
            budget=BatchBudget(objective_s=10.0, most=256, record_s=0.001),
            commits=CommitQueue(interval_s=0.0, max_bytes=1),
            settings=settings or Settings(dlq=DlqSettings(stop_after=0)),
            telemetry=Telemetry(),
        )

    def write(self, records: Sequence[Record]) -> list[Outgoing]:
        """Process *records* as one batch, and return the written records."""
        self._source.records = list(records)
        self._sink.written = []
        self._pipeline.advance()
        self._pipeline.finish()
        assert len(records) == len(self._sink.written)
        return self._sink.written
