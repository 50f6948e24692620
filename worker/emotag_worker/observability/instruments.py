"""Every metric with its name and unit. docs/operations.md lists them, and a test compares the two.

Metrics that have a value for each record are updated once per batch, with numpy, so that a record costs almost nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from emotag_model.reference_stats import LENGTH_EDGES, SCORE_EDGES, ReferenceStats
from emotag_model.scope.rules import Scope
from emotag_worker.batch import BatchCounts, Tagged
from emotag_worker.errors import BadRecord
from emotag_worker.wire.traceparent import parse_traceparent

from .drift import Drift
from .histogram import BatchHistogram

STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_BUCKETS_S = STAGE_BUCKETS_S[3:]
AGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200)
LONG_EDGES = (256, 512, 1024, 2048, 4096)
"""Tokens of texts that are read in windows, beyond the edges of the reference."""
SIZE_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384)

STAGES = ("read", "decode", "lookup", "tokenize", "wait", "device", "encode", "hold", "write")
SOURCES = ("computed", "repeat", "cache")
LOOKUPS = ("memory", "hit", "miss", "failed", "skipped")
TOMBSTONES = ("forwarded", "skipped")
REPLACEMENTS = ("timestamp", "dead_letter", "stub")
COUNTED_LANGUAGES = (*"en es pt fr de it nl pl ru uk tr ar fa hi bn id vi th ja ko zh".split(), "other", "none")  # noqa: SIM905
"""Languages with many speakers online. The set is closed, so that no text can add a time series."""
CHANGES = ("assigned", "revoked", "lost")


class Metrics:
    """The metrics of one worker, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_records()
        self._add_device()
        self._add_cache()
        self._add_partitions()
        self._add_batches()
        self.held = self._gauge("held", "1 while the worker waits for a person; absent otherwise.", ("reason",))
        versions = ("version", "model", "model_version", "thresholds", "engine", "device", "precision")
        self.info = self._gauge("info", "Always 1; the labels are the versions in use.", versions)
        self._cache_up: Gauge | None = None
        self._scores: BatchHistogram | None = None
        self._labels: list[Counter] = []
        self._drift: Drift | None = None
        self._drift_lock = Lock()

    def add_model(
        self, labels: Sequence[str], reference: ReferenceStats | None, memory: Callable[[], Mapping[str, int]]
    ) -> None:
        """Add the metrics that need the model: per label, memory, and drift if the model has a reference."""
        self._scores = self._batch_histogram(
            "score", "Probability of each label, one value per result.", SCORE_EDGES, label=("label", labels)
        )
        given = self._counter("labels", "Results that have the label.", label=labels)
        self._labels = [given.labels(label) for label in labels]
        self.registry.register(_DeviceMemory(memory))
        if reference is not None:
            self._drift = Drift(reference)
            self.registry.register(_Drift(self._drift, self._drift_lock))

    def set_cache_up(self, up: bool) -> None:
        """Set whether the cache responds. Without a first call, the metric is absent: no cache is configured."""
        if self._cache_up is None:
            self._cache_up = self._gauge("cache_up", "1 while the cache responds, 0 while it is skipped.")
        self._cache_up.set(up)

    def count_commit(self, batches: Sequence[BatchCounts]) -> None:
        """Count a commit and its batches."""
        self.commits.inc()
        for batch in batches:
            self.last_commit.set(batch.committed_at)
            self._count_batch(batch)

    def _count_batch(self, batch: BatchCounts) -> None:
        self.records.inc(len(batch.records))
        for source, count in batch.sources.items():
            self.results.labels(source).inc(count)
        for reason, count in batch.dead_letters.items():
            self.dead_letters.labels(reason).inc(count)
        for (scope, language), count in batch.scopes.items():
            self.scopes.labels(scope).inc(count)
            self.languages.labels(_name_language(language)).inc(count)
        for outcome, count in batch.tombstones.items():
            self.tombstones.labels(outcome).inc(count)
        self.tokens.inc(batch.tokens)
        self.computed_tokens.inc(batch.computed_tokens)
        self.truncated.inc(batch.truncated)
        self.busy_s.inc(batch.device_seconds)
        self.batch_s.observe(batch.seconds)
        for stage, seconds in batch.stages.items():
            self._stages[stage].observe(seconds)
        self.batch_records.observe(len(batch.records))
        self.batch_texts.observe(batch.texts)
        self._count_ages(batch)
        if batch.tagged is not None:
            self._count_results(batch.tagged)

    def _count_ages(self, batch: BatchCounts) -> None:
        dated = [record for record in batch.records if record.timestamp_ms is not None]
        written_N = np.array([record.timestamp_ms for record in dated], np.float64) / 1000
        # A producer's clock may be ahead of this machine's.
        self.queue_age_s.add(np.maximum(batch.polled_at - written_N, 0.0)[:, None])

        def find_trace(n: int) -> dict[str, str] | None:
            found = parse_traceparent(dated[n].headers)
            return {"trace_id": found.trace_id} if found is not None and found.sampled else None

        self.latency_s.add_with_exemplars(np.maximum(batch.committed_at - written_N, 0.0), find_trace)

    def _count_results(self, tagged: Tagged) -> None:
        times_B = np.bincount(tagged.rows_N, minlength=len(tagged.tokens_B))
        self.text_tokens.add(tagged.tokens_B[:, None], times_B)
        if self._scores is not None:
            self._scores.add(tagged.probabilities_BK, times_B)
            given_K = times_B.astype(np.float32) @ tagged.given_BK.astype(np.float32)
            for label, times in zip(self._labels, given_K.tolist(), strict=True):
                label.inc(times)
        if self._drift is not None:
            with self._drift_lock:
                self._drift.add(tagged.probabilities_BK, tagged.tokens_B, tagged.unknown_B, tagged.rows_N)

    def _add_records(self) -> None:
        """Metrics of the records and their outcomes."""
        self.results = self._counter("results", "Results written, by source.", source=SOURCES)
        reasons = [reason.__name__ for reason in BadRecord.__subclasses__()]
        self.dead_letters = self._counter("dead_letters", "Dead letters written, by reason.", reason=reasons)
        self.tombstones = self._counter(
            "tombstones", "Tombstones that became no dead letter, by outcome.", outcome=TOMBSTONES
        )
        self.scopes = self._counter("scopes", "Texts that the model read, by scope.", scope=get_args(Scope))
        self.languages = self._counter(
            "languages", "Texts that the model read, by language; `none` is not certain.", language=COUNTED_LANGUAGES
        )
        self.refused = self._counter(
            "refused_records",
            "Records that the brokers refused, by how they were written instead.",
            replacement=REPLACEMENTS,
        )
        self.records = self._counter("records", "Records read, processed and committed.")
        self.commits = self._counter("commits", "Commits: in exactly-once delivery, transactions.")
        self.aborted = self._counter("aborted_batches", "Commits that were aborted; their batches were read again.")
        self.last_commit = self._gauge("last_commit_timestamp_seconds", "Time of the last commit; 0 before the first.")

    def _add_device(self) -> None:
        """Metrics of the model and its device."""
        self.tokens = self._counter("tokens", "Tokens that the model computed, without padding.")
        self.computed_tokens = self._counter("computed_tokens", "Tokens that the model computed, with padding.")
        self.truncated = self._counter("truncated", "Results of which only the beginning of the text was tagged.")
        self.busy_s = self._counter("device_busy_seconds", "Seconds that the device spent on batches.")

    def _add_cache(self) -> None:
        """Metrics of the cache."""
        self.lookups = self._counter(
            "cache_lookups",
            "Lookups of distinct texts of a batch, by outcome; `memory` is a hit without Redis.",
            outcome=LOOKUPS,
        )
        self.cache_errors = self._counter("cache_errors", "Cache calls that failed, by kind of error.", kind=())
        self.cache_corrupt_entries = self._counter(
            "cache_corrupt_entries", "Cache entries that were damaged or forged and therefore ignored."
        )

    def _add_partitions(self) -> None:
        """The input topic and this worker's share of it."""
        self.rebalances = self._counter("rebalances", "Rebalances that added or removed partitions.", change=CHANGES)
        self.data_loss = self._counter("data_loss", "Times that the next record to read was gone or unreadable.")
        self.deleted_records = self._counter(
            "deleted_records", "Records (offsets) that retention deleted before they were read."
        )
        self.partitions = self._gauge("assigned_partitions", "Partitions that this worker reads.")
        self.lag = self._gauge("lag_records", "Uncommitted records of this worker's partitions.", ("partition",))
        self.topic_lag = self._gauge("topic_lag_records", "Uncommitted records of all partitions.")
        self.topic_partitions = self._gauge("topic_partitions", "Partitions of the input topic.")
        self.undecided = self._gauge("undecided_records", "Records that wait for the end of an upstream transaction.")
        self.undecided_s = self._gauge("undecided_seconds", "Longest time that such records have blocked a partition.")

    def _add_batches(self) -> None:
        """Times and sizes, per batch or per record."""
        self.batch_s = self._histogram("batch_seconds", "Time of a batch from poll to commit.", BATCH_BUCKETS_S)
        self.stage_s = Histogram(
            "emotag_stage_seconds",
            "Time of a batch in each stage; `read` includes the wait for a first record.",
            ("stage",),
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._stages = {stage: self.stage_s.labels(stage) for stage in STAGES}
        self.batch_records = self._histogram("batch_records", "Records per batch.", SIZE_BUCKETS)
        self.batch_texts = self._histogram("batch_texts", "Texts per batch that the model computed.", SIZE_BUCKETS)
        self.queue_age_s = self._batch_histogram(
            "queue_age_seconds", "Age of records when they were polled, from their timestamps.", AGE_BUCKETS_S
        )
        self.latency_s = self._batch_histogram(
            "end_to_end_seconds", "Time from a record's timestamp to the commit of its result.", AGE_BUCKETS_S
        )
        self.text_tokens = self._batch_histogram("text_tokens", "Tokens per result.", (*LENGTH_EDGES, *LONG_EDGES))

    def _counter(self, name: str, text: str, **label: Sequence[str]) -> Counter:
        """Return a counter with at most one label. Its known values start at 0, so that the first event is a rise."""
        made = Counter(f"emotag_{name}", text, list(label), registry=self.registry)
        for value in next(iter(label.values()), ()):
            made.labels(value)
        return made

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"emotag_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"emotag_{name}", text, buckets=buckets, registry=self.registry)

    def _batch_histogram(
        self, name: str, text: str, edges: Sequence[float], *, label: tuple[str, Sequence[str]] | None = None
    ) -> BatchHistogram:
        made = BatchHistogram(f"emotag_{name}", text, edges, label=label)
        self.registry.register(made)
        return made


def _name_language(language: str | None) -> str:
    if language is None:
        return "none"
    return language if language in COUNTED_LANGUAGES else "other"


class _DeviceMemory(Collector):
    def __init__(self, memory: Callable[[], Mapping[str, int]]) -> None:
        self._memory = memory

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "emotag_device_memory_bytes",
            "Memory of the process: resident on a CPU; reserved and allocated by torch on a GPU.",
            labels=("kind",),
        )
        for kind, size in self._memory().items():
            family.add_metric([kind], size)
        yield family


class _Drift(Collector):
    """The drift metrics, computed per scrape: that takes milliseconds, too long for each batch."""

    def __init__(self, drift: Drift, lock: Lock) -> None:
        self._drift, self._lock = drift, lock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            texts, found = self._drift.texts, self._drift.measure_distances()
        reference = self._drift.reference
        scores = GaugeMetricFamily(
            "emotag_drift_score_psi", "Distance of the label's recent scores from the reference.", labels=("label",)
        )
        length = GaugeMetricFamily("emotag_drift_length_psi", "Distance of recent text lengths from the reference.")
        unknown = GaugeMetricFamily(
            "emotag_drift_unknown_ratio", "Share of tokens that are not in the vocabulary.", labels=("of",)
        )
        unknown.add_metric(["reference"], reference.unknown_rate)
        training = GaugeMetricFamily(
            "emotag_training_label_ratio", "Share of the training texts that have the label.", labels=("label",)
        )
        for label, rate in reference.label_rates.items():
            training.add_metric([label], rate)
        if found is not None:
            for label, distance in zip(reference.label_rates, found.scores_K.tolist(), strict=True):
                scores.add_metric([label], distance)
            length.add_metric([], found.length)
            unknown.add_metric(["window"], found.unknown_rate)
        yield GaugeMetricFamily("emotag_drift_window_texts", "Results in the drift window.", value=texts)
        yield from (scores, length, unknown, training)
