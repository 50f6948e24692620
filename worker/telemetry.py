"""Every event and metric name, in one place.

Events are structured log lines in the past tense; none ever carries any of a text. Metrics are Prometheus' own.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .settings import LogSettings

CLIENT_LOG = "librdkafka"
"""The Kafka clients' own lines go through this logger, not past it to stderr."""

STEP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True)
class StepCounts:
    """What one step did.

    Attributes:
        origins: results by where the answer came from: `computed`, `repeat` (of another record of the step), `cache`.
        dead_letters: dead letters by reason.
        seconds: from the poll's return to the commit's.
    """

    records: int
    origins: Mapping[str, int]
    dead_letters: Mapping[str, int]
    truncated: int
    tokens: int
    seconds: float
    device_seconds: float
    write_seconds: float


class Telemetry:
    """Events and metrics of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._log = structlog.get_logger("emotag")
        self._cache_refusals: set[str] = set()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"emotag_{name}", text, labels, registry=self.registry)

        self._records = counter("records", "Records read and committed.")
        self._results = counter("results", "Results written, by where the answer came from.", "origin")
        self._dead_letters = counter("dead_letters", "Dead letters written, by reason.", "reason")
        self._tokens = counter("tokens", "Tokens that went through the model, padding not counted.")
        self._truncated = counter("truncated", "Results on texts longer than the model's window.")
        self._aborted = counter("aborted_steps", "Steps whose transaction was undone and that were read again.")
        self._cache_errors = counter("cache_errors", "Cache calls that failed, by kind of error.", "kind")
        self._cache_rubbish = counter("cache_rubbish", "Cache entries that were unreadable and so ignored.")
        self._step_s = Histogram(
            "emotag_step_seconds", "From poll to commit.", buckets=STEP_BUCKETS_S, registry=self.registry
        )
        self._device_s = Histogram(
            "emotag_device_seconds", "The model's share of a step.", buckets=STEP_BUCKETS_S, registry=self.registry
        )
        self._write_s = Histogram(
            "emotag_write_seconds", "Producing and committing a step.", buckets=STEP_BUCKETS_S, registry=self.registry
        )
        self._partitions = Gauge("emotag_assigned_partitions", "Partitions this worker reads.", registry=self.registry)
        self._gaps = counter("offset_gone", "Times that the next record to read was no longer there.")
        self._lag = Gauge(
            "emotag_lag_records", "Records that are not committed yet.", ("partition",), registry=self.registry
        )
        self._lagging: set[str] = set()
        self._info = Gauge(
            "emotag_info",
            "Always 1; the labels say what runs.",
            ("version", "model", "model_version", "thresholds", "engine", "device", "precision"),
            registry=self.registry,
        )

    def metrics(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def started(self, **what: str) -> None:
        self._info.labels(**what).set(1)
        self._log.info("worker_started", **what)

    def engine_chosen(self, engine: str, precision: str, how: str, timings_ms: dict[str, float]) -> None:
        self._log.info("engine_chosen", engine=engine, precision=precision, how=how, timings_ms=timings_ms)

    def gpus_unused(self, gpus: int) -> None:
        self._log.warning("gpus_unused", gpus=gpus, why="torch is not installed: pip install 'emotag[cuda]'")

    def step_calibrated(self, records: int) -> None:
        self._log.info("step_calibrated", records=records)

    def admin_listening(self, host: str, port: int) -> None:
        self._log.info("admin_listening", host=host, port=port)

    def setting_ignored(self, why: str) -> None:
        self._log.warning("setting_ignored", why=why)

    def step_committed(self, step: StepCounts) -> None:
        self._records.inc(step.records)
        for origin, count in step.origins.items():
            self._results.labels(origin).inc(count)
        for reason, count in step.dead_letters.items():
            self._dead_letters.labels(reason).inc(count)
        self._tokens.inc(step.tokens)
        self._truncated.inc(step.truncated)
        self._step_s.observe(step.seconds)
        self._device_s.observe(step.device_seconds)
        self._write_s.observe(step.write_seconds)
        self._log.info(
            "step_committed",
            records=step.records,
            results=sum(step.origins.values()),
            cache_hits=step.origins.get("cache", 0),
            repeats=step.origins.get("repeat", 0),
            tokens=step.tokens,
            dead_letters=dict(step.dead_letters),
            ms=round(step.seconds * 1000, 1),
            device_ms=round(step.device_seconds * 1000, 1),
            write_ms=round(step.write_seconds * 1000, 1),
        )

    def step_aborted(self, why: str, attempt: int, records: int) -> None:
        self._aborted.inc()
        self._log.warning("step_aborted", why=why, attempt=attempt, records=records)

    def device_slow(self, seconds: float, records: int) -> None:
        self._log.warning("device_slow", seconds=seconds, records=records)

    def partitions_changed(self, change: str, partitions: int, assigned: int) -> None:
        self._partitions.set(assigned)
        self._log.info(f"partitions_{change}", partitions=partitions, assigned=assigned)

    def offset_gone(self, why: str) -> None:
        self._gaps.inc()
        self._log.error("offset_gone", why=why, consequence="records were deleted before they were read")

    def lag_found(self, records: Mapping[tuple[str, int], int]) -> None:
        for gone in self._lagging - {str(partition) for _, partition in records}:
            self._lag.remove(gone)
        self._lagging = {str(partition) for _, partition in records}
        for (_, partition), count in records.items():
            self._lag.labels(partition).set(count)

    def broker_error(self, error: str) -> None:
        self._log.warning("broker_error_seen", error=error)

    def brokers_back(self, after_s: float) -> None:
        self._log.info("brokers_back", after_s=round(after_s, 1))

    def cache_failed(self, kind: str, pause_s: float, why: str) -> None:
        self._cache_errors.labels(kind).inc()
        self._log.warning("cache_failed", kind=kind, pause_s=pause_s, **({"why": why} if why else {}))

    def cache_refused(self, entries: int, kind: str, why: str) -> None:
        self._cache_errors.labels(kind).inc(entries)
        # Every step says it again; the first time is news.
        log = self._log.debug if kind in self._cache_refusals else self._log.warning
        self._cache_refusals.add(kind)
        log("cache_entries_refused", entries=entries, kind=kind, **({"why": why} if why else {}))

    def cache_recovered(self) -> None:
        self._log.info("cache_recovered")

    def cache_rubbish(self, entries: int) -> None:
        if entries:
            self._cache_rubbish.inc(entries)
            self._log.warning("cache_rubbish_ignored", entries=entries)

    def drain_started(self, signal: str, budget_s: float) -> None:
        self._log.info("drain_started", signal=signal, budget_s=budget_s)

    def drain_failed(self, budget_s: float) -> None:
        self._log.error("drain_failed", budget_s=budget_s, consequence="uncommitted records will be read again")

    def stopped(self, *, why: str, exit_code: int) -> None:
        log = self._log.info if exit_code == 0 else self._log.error
        log("worker_stopped", why=why, exit_code=exit_code)


def configure_logging(settings: LogSettings) -> None:
    """One line an event on stderr: JSON, or for people on a terminal. Libraries' own log lines take the same form."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    # Its lines below a warning say of every attempt to connect what `broker_error_seen` says once.
    logging.getLogger(CLIENT_LOG).setLevel(logging.DEBUG if settings.level == "debug" else logging.WARNING)
