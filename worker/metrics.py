"""Every metric: its name, its unit, what it counts. docs/operations.md lists them, and a test holds it to that.

A record costs next to nothing here: what there is one of for each record is counted a step at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from model.reference import LENGTH_EDGES, SCORE_EDGES, Reference

from .distribution import Distribution
from .drift import Drift
from .errors import BadRecord
from .record import Record
from .traceparent import traceparent

STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STEP_BUCKETS_S = STAGE_BUCKETS_S[3:]
AGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200)
SIZE_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384)

STAGES = ("read", "decode", "lookup", "tokenise", "wait", "device", "encode", "write")
ORIGINS = ("computed", "repeat", "cache")
LOOKUPS = ("hit", "miss", "failed", "skipped")
CHANGES = ("assigned", "revoked", "lost")


@dataclass(frozen=True)
class Tagged:
    """What was said of one step's texts.

    Attributes:
        probabilities_BK, given_BK: scores of each distinct text, and the labels that are over their thresholds.
        tokens_B, unknown_B: tokens of each distinct text, and those that the vocabulary does not have.
        rows_N: which of these texts each result is of.
    """

    probabilities_BK: npt.NDArray[np.float32]
    given_BK: npt.NDArray[np.bool_]
    tokens_B: npt.NDArray[np.int64]
    unknown_B: npt.NDArray[np.int64]
    rows_N: npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepCounts:
    """What one step did.

    Attributes:
        records: all of them, committed by now.
        origins: results by where the answer came from: `computed`, `repeat` (of another record of the step), `cache`.
        dead_letters: dead letters by reason.
        texts, tokens: those that the device was given; `computed_tokens`: with the filling of its batches.
        seconds: from the poll's return to the commit's.
        stages: seconds of each of `STAGES` that the step went through.
        device_seconds: by which the step kept the device longer than those before it did.
        polled_at, committed_at: seconds since 1970.
        tagged: None where there is no result.
    """

    records: Sequence[Record]
    origins: Mapping[str, int]
    dead_letters: Mapping[str, int]
    truncated: int
    texts: int
    tokens: int
    computed_tokens: int
    seconds: float
    stages: Mapping[str, float]
    device_seconds: float
    polled_at: float
    committed_at: float
    tagged: Tagged | None = field(default=None, repr=False)


class Metrics:
    """The instruments of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.results = self._counter("results", "Results written, by where the answer came from.", origin=ORIGINS)
        reasons = [reason.__name__ for reason in BadRecord.__subclasses__()]
        self.dead_letters = self._counter("dead_letters", "Dead letters written, by reason.", reason=reasons)
        self.records = self._counter("records", "Records read, answered and committed.")
        self.commits = self._counter("commits", "Steps committed: in exactly-once delivery, transactions.")
        self.aborted = self._counter("aborted_steps", "Steps whose transaction was undone and that were read again.")
        self.last_commit = self._gauge(
            "last_commit_timestamp_seconds", "When the last step was committed; 0: none was."
        )
        self.tokens = self._counter("tokens", "Tokens that went through the model, padding not counted.")
        self.computed_tokens = self._counter("computed_tokens", "Tokens that the model computed, padding counted.")
        self.truncated = self._counter("truncated", "Results on texts longer than the model's window.")
        self.busy_s = self._counter("device_busy_seconds", "Seconds that the device was at work on steps.")
        self.lookups = self._counter(
            "cache_lookups", "Distinct texts of a step looked up, by outcome.", outcome=LOOKUPS
        )
        self.cache_errors = self._counter("cache_errors", "Cache calls that failed, by kind of error.", kind=())
        self.cache_rubbish = self._counter("cache_rubbish", "Cache entries that were unreadable and so ignored.")
        self.rebalances = self._counter("rebalances", "Times that partitions came or went.", change=CHANGES)
        self.gaps = self._counter("offset_gone", "Times that the next record to read was no longer there.")
        self.partitions = self._gauge("assigned_partitions", "Partitions this worker reads.")
        self.lag = Gauge(
            "emotag_lag_records", "Records that are not committed yet.", ("partition",), registry=self.registry
        )
        self.step_s = self._histogram("step_seconds", "From poll to commit.", STEP_BUCKETS_S)
        self.stage_s = Histogram(
            "emotag_stage_seconds",
            "A step's time in each stage; reading includes waiting for a first record.",
            ("stage",),
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._stages = {stage: self.stage_s.labels(stage) for stage in STAGES}
        self.step_records = self._histogram("step_records", "Records of a step.", SIZE_BUCKETS)
        self.step_texts = self._histogram("step_texts", "Texts of a step that the model was given.", SIZE_BUCKETS)
        self.queue_age_s = self._distribution(
            "queue_age_seconds", "Age of records when they were polled, by their timestamps.", AGE_BUCKETS_S
        )
        self.latency_s = self._distribution(
            "text_to_tag_seconds", "From a record's timestamp to the commit of its answer.", AGE_BUCKETS_S
        )
        self.text_tokens = self._distribution("text_tokens", "Tokens of each result's text.", LENGTH_EDGES)
        self.info = Gauge(
            "emotag_info",
            "Always 1; the labels say what runs.",
            ("version", "model", "model_version", "thresholds", "engine", "device", "precision"),
            registry=self.registry,
        )
        self._cache_up: Gauge | None = None
        self._scores: Distribution | None = None
        self._labels: list[Counter] = []
        self._drift: Drift | None = None
        self._drift_lock = Lock()

    def model_loaded(
        self, labels: Sequence[str], reference: Reference | None, memory: Callable[[], Mapping[str, int]]
    ) -> None:
        """From now on labels can be told apart, and, where there is a reference, drift be told."""
        self._scores = self._distribution(
            "score", "Probability of each label, one for each result.", SCORE_EDGES, label=("label", labels)
        )
        given = self._counter("labels", "Results that were given the label.", label=labels)
        self._labels = [given.labels(label) for label in labels]
        self.registry.register(_DeviceMemory(memory))
        if reference is not None:
            self._drift = Drift(reference)
            self.registry.register(_Drift(self._drift, self._drift_lock))

    def cache_up(self, up: bool) -> None:
        """Whether the cache answers. Nothing is said of it before: most often there is none."""
        if self._cache_up is None:
            self._cache_up = self._gauge("cache_up", "1 while the cache answers, 0 while it is left out.")
        self._cache_up.set(up)

    def step_committed(self, step: StepCounts) -> None:
        """Count one step."""
        self.records.inc(len(step.records))
        self.commits.inc()
        self.last_commit.set(step.committed_at)
        for origin, count in step.origins.items():
            self.results.labels(origin).inc(count)
        for reason, count in step.dead_letters.items():
            self.dead_letters.labels(reason).inc(count)
        self.tokens.inc(step.tokens)
        self.computed_tokens.inc(step.computed_tokens)
        self.truncated.inc(step.truncated)
        self.busy_s.inc(step.device_seconds)
        self.step_s.observe(step.seconds)
        for stage, seconds in step.stages.items():
            self._stages[stage].observe(seconds)
        self.step_records.observe(len(step.records))
        self.step_texts.observe(step.texts)
        self._ages(step)
        if step.tagged is not None:
            self._tagged(step.tagged)

    def _ages(self, step: StepCounts) -> None:
        dated = [record for record in step.records if record.timestamp_ms is not None]
        written_N = np.array([record.timestamp_ms for record in dated], np.float64) / 1000
        # Producers' clocks may run ahead of this one.
        self.queue_age_s.add(np.maximum(step.polled_at - written_N, 0.0)[:, None])

        def exemplar(n: int) -> dict[str, str] | None:
            found = traceparent(dated[n].headers)
            return {"trace_id": found.trace_id} if found is not None and found.sampled else None

        self.latency_s.add_with_exemplars(np.maximum(step.committed_at - written_N, 0.0), exemplar)

    def _tagged(self, tagged: Tagged) -> None:
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

    def _counter(self, name: str, text: str, **label: Sequence[str]) -> Counter:
        """With at most one label; those of its values that are known count from 0, so that a first one is a rise."""
        made = Counter(f"emotag_{name}", text, list(label), registry=self.registry)
        for value in next(iter(label.values()), ()):
            made.labels(value)
        return made

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"emotag_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"emotag_{name}", text, buckets=buckets, registry=self.registry)

    def _distribution(
        self, name: str, text: str, edges: Sequence[float], *, label: tuple[str, Sequence[str]] | None = None
    ) -> Distribution:
        made = Distribution(f"emotag_{name}", text, edges, label=label)
        self.registry.register(made)
        return made


class _DeviceMemory(Collector):
    def __init__(self, memory: Callable[[], Mapping[str, int]]) -> None:
        self._memory = memory

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "emotag_device_memory_bytes",
            "What the process holds: of memory on a CPU (resident), of torch's on a GPU (reserved, allocated).",
            labels=("kind",),
        )
        for kind, size in self._memory().items():
            family.add_metric([kind], size)
        yield family


class _Drift(Collector):
    """Computed when it is asked for: that takes some milliseconds, and nobody asks for each step."""

    def __init__(self, drift: Drift, lock: Lock) -> None:
        self._drift, self._lock = drift, lock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            texts, found = self._drift.texts, self._drift.distances()
        reference = self._drift.reference
        scores = GaugeMetricFamily(
            "emotag_drift_score_psi", "Distance of the label's last scores from its reference.", labels=("label",)
        )
        length = GaugeMetricFamily("emotag_drift_length_psi", "Distance of the last texts' tokens from the reference.")
        unknown = GaugeMetricFamily(
            "emotag_drift_unknown_ratio", "Share of tokens that the vocabulary does not have.", labels=("of",)
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
        yield GaugeMetricFamily("emotag_drift_window_texts", "Results that drift is told of.", value=texts)
        yield from (scores, length, unknown, training)
