"""Every event of a worker, in one place: its log line, and its counts in `metrics`.

Log events are in the past tense. No log line ever contains any part of a text.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import structlog
from prometheus_client.exposition import choose_encoder

from emotag_model.errors import explain_install
from emotag_worker.batch import BatchCounts
from emotag_worker.kafka.input.gap import Gap

from .commit_summary import CommitSummary
from .instruments import Metrics

if TYPE_CHECKING:  # importing the model and the clients takes time, and probes need a response before
    from emotag_model.tagger import EmotionTagger
    from emotag_worker.kafka.lag_watch import TopicLag


class Telemetry:
    """The log and the metrics of one worker."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._log = structlog.get_logger("emotag")
        self._summary = CommitSummary()
        self._refusals_logged: set[str] = set()
        self._lagging: set[str] = set()

    def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type.

        Args:
            accept: the client's Accept header. OpenMetrics, the only format with exemplars, and both versions of the
                text format are available, with the `escaping` that the client requests.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # the client requests a version that is not a number
            encode, content_type = choose_encoder("")
        return encode(self.metrics.registry), content_type

    def report_start(self, *, group: str, **versions: str) -> None:
        self.metrics.info.labels(**versions).set(1)
        self._log.info("worker_started", group=group, **versions)

    def report_stop(self, *, reason: str, exit_code: int) -> None:
        self.report_progress(ended=True)
        log = self._log.info if exit_code == 0 else self._log.error
        log("worker_stopped", reason=reason, exit_code=exit_code)

    def report_shutdown(self, signal: str, timeout_s: float) -> None:
        self._log.info("shutdown_started", signal=signal, timeout_s=timeout_s)

    def report_shutdown_timeout(self, timeout_s: float) -> None:
        self._log.error("shutdown_timed_out", timeout_s=timeout_s, consequence="uncommitted records are read again")

    def report_admin_server(self, host: str, port: int) -> None:
        self._log.info("admin_server_started", host=host, port=port)

    def report_ignored_setting(self, reason: str) -> None:
        self._log.warning("setting_ignored", reason=reason)

    def report_insecure_setting(self, reason: str) -> None:
        self._log.warning("setting_insecure", reason=reason)

    def report_engine_measurement(self) -> None:
        self._log.info("engine_measurement_started")

    def report_engine_choice(
        self, engine: str, precision: str, how: str, timings_ms: dict[str, float], reason: str
    ) -> None:
        log = self._log.warning if reason else self._log.info
        explained = {"reason": reason} if reason else {}
        log("engine_chosen", engine=engine, precision=precision, how=how, timings_ms=timings_ms, **explained)

    def report_unused_gpus(self, gpus: int) -> None:
        self._log.warning("gpus_ignored", gpus=gpus, reason=f"torch is not installed; {explain_install('cuda')}")

    def report_batch_calibration(self, records: int) -> None:
        self._log.info("batch_calibrated", records=records)

    def report_placements(self, results: str, dead_letters: str, partitions: Mapping[str, int]) -> None:
        self._log.info("placements_chosen", results=results, dead_letters=dead_letters, partitions=dict(partitions))

    def report_short_retention(self, topic: str, records: int, retention_s: float) -> None:
        self._log.warning(
            "short_retention_found",
            topic=topic,
            records=records,
            retention_s=retention_s,
            reason=f"{records} records that wait are older than {topic} keeps records, so it deletes their results or "
            "dead letters at once; raise its retention.ms, or for results set EMOTAG_OUTPUT__TIMESTAMP=now",
        )

    def report_model(self, tagger: "EmotionTagger") -> None:
        self.metrics.add_model(tagger.labels, tagger.reference_stats, tagger.memory_bytes)
        if tagger.reference_stats is None:
            reason = "the artifact has no reference.json; run emotag-train tune to add one"
            self._log.info("drift_monitoring_disabled", reason=reason)

    def report_commit(self, batches: Sequence[BatchCounts]) -> None:
        self.metrics.count_commit(batches)
        self._summary.add(batches, time.monotonic())
        for batch in batches:
            self._log.debug(
                "batch_committed",
                records=len(batch.records),
                results=sum(batch.sources.values()),
                cache_hits=batch.sources.get("cache", 0),
                repeats=batch.sources.get("repeat", 0),
                tokens=batch.tokens,
                dead_letters=dict(batch.dead_letters),
                ms=round(batch.seconds * 1000, 1),
                device_ms=round(batch.device_seconds * 1000, 1),
                write_ms=round(batch.stages.get("write", 0.0) * 1000, 1),
            )

    def report_progress(self, *, ended: bool = False) -> None:
        """Log a summary of the commits since the last one, if it is time for one or the worker has *ended*."""
        if (summary := self._summary.take(time.monotonic(), ended=ended)) is not None:
            self._log.info("records_committed", **summary)

    def report_abort(self, reason: str, attempt: int, records: int) -> None:
        self.metrics.aborted.inc()
        self._log.warning("batch_aborted", reason=reason, attempt=attempt, records=records)

    def report_dead_letter_burst(self, dead_letters: int) -> None:
        consequence = "the worker continues, because it can read other records of the topic"
        self._log.warning("dead_letter_burst_seen", dead_letters=dead_letters, consequence=consequence)

    def report_hold(self, kind: str, reason: str) -> None:
        self.metrics.held.labels(kind).set(1)
        consequence = "the worker has released its partitions, and waits for a signal to end"
        self._log.error("worker_held", kind=kind, reason=reason, consequence=consequence)

    def report_tombstone_handling(self, action: str, reason: str) -> None:
        self._log.info("tombstone_handling_chosen", action=action, reason=reason)

    def report_refusals(self, topic: str, replacement: str, reason: str, records: int) -> None:
        self.metrics.refused.labels(replacement).inc(records)
        self._log.warning("records_refused", topic=topic, replacement=replacement, reason=reason, records=records)

    def report_slow_device(self, seconds: float, records: int) -> None:
        self._log.warning("device_stalled", seconds=seconds, records=records)

    def report_partitions(self, change: Literal["assigned", "revoked", "lost"], partitions: int, assigned: int) -> None:
        self.metrics.partitions.set(assigned)
        self.metrics.rebalances.labels(change).inc()
        self._log.info(f"partitions_{change}", partitions=partitions, assigned=assigned)

    def report_data_loss(self, topic: str, partition: int, gap: Gap) -> None:
        self.metrics.data_loss.inc()
        if gap.kind == "deleted":
            self.metrics.deleted_records.inc(gap.offsets)
        self._log.error(
            "data_lost",
            kind=gap.kind,
            topic=topic,
            partition=partition,
            position=gap.position,
            resumed_at=gap.resume,
            records=gap.offsets,
            reason=gap.describe(topic, partition),
        )

    def report_missing_offsets(
        self, *, partitions: int, start: str, ahead: int, is_new: bool, bounded: bool = False
    ) -> None:
        if bounded:
            reason = "the run reads a range of time in a separate group"
        elif is_new:
            reason = "the group has no committed offsets: it is new, or Kafka deleted them after it had no members"
        else:
            reason = "the group has committed offsets only for other partitions of the topic"
        log = self._log.warning if is_new and ahead and not bounded else self._log.info
        log("start_chosen", start=start, partitions=partitions, records_ahead=ahead, reason=reason)

    def report_start_of_partition(
        self, topic: str, partition: int, *, committed: int | None, start: int, ahead: int
    ) -> None:
        self._log.info(
            "partition_started",
            topic=topic,
            partition=partition,
            committed=committed,
            start=start,
            records_ahead=ahead,
        )

    def report_lag(self, lag: "TopicLag") -> None:
        partitions = {str(partition) for _, partition in lag.assigned}
        for revoked in self._lagging - partitions:
            self.metrics.lag.remove(revoked)
        self._lagging = partitions
        for (_, partition), count in lag.assigned.items():
            self.metrics.lag.labels(partition).set(count)
        self.metrics.topic_lag.set(lag.records)
        self.metrics.topic_partitions.set(lag.partitions)
        self.metrics.undecided.set(lag.undecided)
        self.metrics.undecided_s.set(lag.undecided_s)

    def report_broker_error(self, error: str, reason: str, **advice: str) -> None:
        self._log.warning("broker_error_seen", error=error, reason=reason, **advice)

    def report_broker_recovery(self, after_s: float) -> None:
        self._log.info("brokers_recovered", after_s=round(after_s, 1))

    def report_cache_opening(self) -> None:
        self.metrics.set_cache_up(True)

    def report_cache_without_secret(self, reason: str) -> None:
        self._log.warning("cache_opened_without_secret", reason=reason)

    def report_cache_lookup(self, **texts: int) -> None:
        for outcome, count in texts.items():
            self.metrics.lookups.labels(outcome).inc(count)

    def report_cache_failure(self, address: str, kind: str, pause_s: float, reason: str) -> None:
        self.metrics.cache_errors.labels(kind).inc()
        self.metrics.set_cache_up(False)
        known = {"reason": reason} if reason else {}
        self._log.warning("cache_failed", address=address, kind=kind, pause_s=pause_s, **known)

    def report_cache_refusal(self, entries: int, kind: str, reason: str) -> None:
        self.metrics.cache_errors.labels(kind).inc(entries)
        # The same refusal repeats with every batch: only the first is a warning.
        log = self._log.debug if kind in self._refusals_logged else self._log.warning
        self._refusals_logged.add(kind)
        log("cache_entries_refused", entries=entries, kind=kind, **({"reason": reason} if reason else {}))

    def report_cache_recovery(self) -> None:
        self.metrics.set_cache_up(True)
        self._log.info("cache_recovered")

    def report_corrupt_entries(self, entries: int) -> None:
        if entries:
            self.metrics.cache_corrupt_entries.inc(entries)
            self._log.warning("cache_corrupt_entries_ignored", entries=entries)
