"""Every event, in one place: what is logged of it, and what is counted in `metrics`.

Events are structured log lines in the past tense; none ever carries any of a text.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from .metrics import Metrics, StepCounts
from .settings import LogSettings

if TYPE_CHECKING:  # the model takes its time to import, and probes are to be answered before
    from model.tagger import EmotionTagger

OPENMETRICS = "application/openmetrics-text"

CLIENT_LOG = "librdkafka"
"""The Kafka clients' own lines go through this logger, not past it to stderr."""

CLIENT_LINES_S = 10.0
"""How often a client's lines of the same kind are logged: brokers that are gone give twenty a second."""


class Telemetry:
    """Events of one worker, and through them its metrics."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._log = structlog.get_logger("emotag")
        self._cache_refusals: set[str] = set()
        self._lagging: set[str] = set()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their content type: in OpenMetrics' format where *accept* asks for it, else in Prometheus'.

        Only OpenMetrics has exemplars.
        """
        if any(kind.partition(";")[0].strip().lower() == OPENMETRICS for kind in accept.split(",")):
            body = openmetrics.generate_latest(self.metrics.registry)  # type: ignore[no-untyped-call]
            return body, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST

    def started(self, **what: str) -> None:
        self.metrics.info.labels(**what).set(1)
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

    def cache_unkeyed(self, why: str) -> None:
        self._log.warning("cache_unkeyed", why=why)

    def model_loaded(self, tagger: "EmotionTagger") -> None:
        self.metrics.model_loaded(tagger.labels, tagger.reference, tagger.memory_bytes)
        if tagger.reference is None:
            self._log.info("drift_unwatched", why="the artifact has no reference.json; emotag-train tune writes one")

    def step_committed(self, step: StepCounts) -> None:
        self.metrics.step_committed(step)
        self._log.info(
            "step_committed",
            records=len(step.records),
            results=sum(step.origins.values()),
            cache_hits=step.origins.get("cache", 0),
            repeats=step.origins.get("repeat", 0),
            tokens=step.tokens,
            dead_letters=dict(step.dead_letters),
            ms=round(step.seconds * 1000, 1),
            device_ms=round(step.device_seconds * 1000, 1),
            write_ms=round(step.stages.get("write", 0.0) * 1000, 1),
        )

    def step_aborted(self, why: str, attempt: int, records: int) -> None:
        self.metrics.aborted.inc()
        self._log.warning("step_aborted", why=why, attempt=attempt, records=records)

    def device_slow(self, seconds: float, records: int) -> None:
        self._log.warning("device_slow", seconds=seconds, records=records)

    def partitions_changed(self, change: str, partitions: int, assigned: int) -> None:
        self.metrics.partitions.set(assigned)
        self.metrics.rebalances.labels(change).inc()
        self._log.info(f"partitions_{change}", partitions=partitions, assigned=assigned)

    def offset_gone(self, why: str) -> None:
        self.metrics.gaps.inc()
        self._log.error("offset_gone", why=why, consequence="records were deleted before they were read")

    def lag_found(self, records: Mapping[tuple[str, int], int]) -> None:
        for gone in self._lagging - {str(partition) for _, partition in records}:
            self.metrics.lag.remove(gone)
        self._lagging = {str(partition) for _, partition in records}
        for (_, partition), count in records.items():
            self.metrics.lag.labels(partition).set(count)

    def broker_error(self, error: str) -> None:
        self._log.warning("broker_error_seen", error=error)

    def brokers_back(self, after_s: float) -> None:
        self._log.info("brokers_back", after_s=round(after_s, 1))

    def cache_opened(self) -> None:
        self.metrics.cache_up(True)

    def cache_looked_up(self, **texts: int) -> None:
        for outcome, count in texts.items():
            self.metrics.lookups.labels(outcome).inc(count)

    def cache_failed(self, kind: str, pause_s: float, why: str) -> None:
        self.metrics.cache_errors.labels(kind).inc()
        self.metrics.cache_up(False)
        self._log.warning("cache_failed", kind=kind, pause_s=pause_s, **({"why": why} if why else {}))

    def cache_refused(self, entries: int, kind: str, why: str) -> None:
        self.metrics.cache_errors.labels(kind).inc(entries)
        # Every step says it again; the first time is news.
        log = self._log.debug if kind in self._cache_refusals else self._log.warning
        self._cache_refusals.add(kind)
        log("cache_entries_refused", entries=entries, kind=kind, **({"why": why} if why else {}))

    def cache_recovered(self) -> None:
        self.metrics.cache_up(True)
        self._log.info("cache_recovered")

    def cache_rubbish(self, entries: int) -> None:
        if entries:
            self.metrics.cache_rubbish.inc(entries)
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
    client, debug = logging.getLogger(CLIENT_LOG), settings.level == "debug"
    client.setLevel(logging.DEBUG if debug else logging.WARNING)
    client.filters = [] if debug else [_Seldom()]


class _Seldom(logging.Filter):
    """Passes a client's lines of one kind once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # librdkafka's facility and the client; a graver line of the same kind is another one.
        kind = (record.levelno, record.args[:2] if record.args and isinstance(record.args, tuple) else record.msg)
        now = time.monotonic()
        if now - self._passed.get(kind, -CLIENT_LINES_S) < CLIENT_LINES_S:
            return False
        self._passed[kind] = now
        return True
