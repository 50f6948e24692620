"""The order and the overlap of the work on batches.

    source → decode → fingerprint → cache → tokenize → plan → engine → encode → sink

The order is the delivery guarantee. This module owns the order and nothing else: `batch_results` builds the
records, `batch` counts, and the clients are behind the protocols of `protocols`.

The device never waits for Kafka, JSON or Redis: while the device computes batch N, batch N+1 is polled, looked up and
tokenized; batch N is written and committed while the device computes batch N+1. An engine that computes several batches
at a time begins batch N+1 as soon as it has capacity.

If records trickle in, several completed batches share one transaction: `commit_queue` decides when it is due. Every
batch that is not committed, in flight or completed, is read again after a failure.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from datetime import UTC, datetime
from threading import Event

from emotag_model.daemon_threads import Background
from emotag_model.errors import DeviceFailed
from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds

from .batch import Batch, CompletedBatch, Computation, DeviceUse, StageTimes, count_batch
from .batch_budget import BatchBudget
from .batch_results import compute_entries, encode_batch
from .cache.entry import Entry
from .cache.fingerprint import Fingerprint
from .cache.rules import identify_entries
from .commit_queue import CommitQueue
from .delivery import Delivery
from .dlq.refusal_limit import RefusalLimit
from .errors import BadRecord, BatchAborted, DeviceLost, TransactionFailed
from .kafka.output.sink import MAX_ABORTS, compute_pause_s
from .locating import drop_misplaced
from .observability.telemetry import Telemetry
from .observability.traces import NoTraces
from .protocols import Cache, Sink, Source, Tagger, Traces
from .settings import Settings
from .tokenizing import tokenize_texts
from .wire.decode import Decoded, decode
from .wire.encode import RecordEncoder
from .wire.record import Partition, Record, first_offsets, next_offsets

DRAINED_S = 5.0
"""Shortest time between two commits of ends alone, without a batch: producers may abort transactions all the time."""

IDLE_POLL_S = 0.1
"""Longest wait for a record while no batch is in flight, and so the longest delay before a stop signal is noticed."""

CLIENT_TICK_S = 0.001
"""The client waits in whole milliseconds, rounded down: one more, so that a commit is due when the wait ends."""

STAY_S = 1.0
"""Longest wait for the device between two polls that keep the worker in the group."""

SLOW, HUNG = 10, 120
"""The number of waits of `STAY_S` after which a batch is logged as slow, and after which the device counts as lost.
Counting waits is safer than reading a clock: a process that was stopped for an hour has not waited for an hour."""

DEVICE_PATIENCE_S = 5.0
"""Longest wait for a running forward pass when the process ends."""


class Pipeline:
    """Records from the source to the sink, two batches at a time on their way to the device.

    Args:
        mark_alive: called after each commit, and each second while the device computes.
    """

    def __init__(
        self,
        *,
        source: Source,
        cache: Cache,
        tagger: Tagger,
        sink: Sink,
        encoder: RecordEncoder,
        budget: BatchBudget,
        commits: CommitQueue,
        settings: Settings,
        telemetry: Telemetry,
        traces: Traces | None = None,
        mark_alive: Callable[[], None] = lambda: None,
        can_read: Callable[[], bool] = lambda: False,
        requires_key: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self._source = source
        self._cache = cache
        self._tagger = tagger
        self._encoder = encoder
        self._budget = budget
        self._commits = commits
        self._settings = settings
        self._telemetry = telemetry
        self._traces = traces or NoTraces()
        self._fingerprint = Fingerprint(
            model=identify_entries(tagger, reasons=settings.output.reasons),
            secret=settings.cache.hash_secret.get_secret_value() if settings.cache.hash_secret else "",
        )
        self._refusals = RefusalLimit(most=settings.dlq.stop_after, can_read=can_read)
        self._delivery = Delivery(
            sink, encoder, self._refusals, telemetry, mark_alive=mark_alive, requires_key=requires_key
        )
        self._device = Background("device", threads=tagger.concurrency)
        self._device_use = DeviceUse(tagger.computed_tokens)
        self._in_flight: deque[Batch] = deque()
        self._aborts = 0
        self._drained_at = -DRAINED_S
        self._mark_alive = mark_alive

    def run(self, stop: Event, *, after_each_round: Callable[[], None]) -> None:
        """Process batches until *stop* is set, then finish those in flight.

        Raises:
            StopWorker: the worker cannot continue; nothing uncommitted was lost.
        """
        # Against the flow, because Kafka requires it: in a rebalance the source calls the pipeline, which finishes the
        # batches of partitions that are revoked, and drops those of partitions that are lost.
        self._source.subscribe(before_revoke=self.finish, when_lost=self.forget)
        while not stop.is_set():
            self.advance()
            after_each_round()
        try:
            self.finish()
        except BatchAborted as error:  # the next owner of the partitions processes the batch again
            self._telemetry.report_abort(str(error), self._aborts + 1, self._count_uncommitted())

    def advance(self) -> None:
        """Submit batch N+1 to the device, complete batch N, and commit if it is time."""
        try:
            times = StageTimes(time.monotonic())
            records = self._poll()
            if records:
                self._in_flight.append(self._submit(records, times))
            while len(self._in_flight) > bool(records):
                self._complete()
            if not self._due_in_s():
                self._commit()
            if not self._uncommitted:
                self._commit_drained()
        except BatchAborted as error:
            self._read_again(error)

    def finish(self) -> None:
        """Complete and commit every batch: before partitions go to another worker, and before the worker ends."""
        while self._in_flight:
            self._complete()
        self._commit()

    def forget(self) -> dict[Partition, int]:
        """Drop every batch that is not committed: another worker owns its partitions now.

        Returns:
            The first dropped offset of each partition: partitions that still belong to this worker are read from there.
        """
        dropped = self._uncommitted
        for batch in dropped:
            batch.computing.cancel()
            batch.trace.end("aborted")
        self._commits.clear()
        self._in_flight.clear()
        return first_offsets(record for batch in dropped for record in batch.records)

    def close(self) -> None:
        """Drop the batches that are not committed, which will be read again, and end the device's thread.

        Call this before the source is closed: leaving the group would finish every batch, which must not happen after a
        failure.
        """
        self.forget()
        self._device.close(DEVICE_PATIENCE_S)

    def _poll(self) -> list[Record]:
        timeout_s = 0.0 if self._in_flight else min(IDLE_POLL_S, self._due_in_s() + CLIENT_TICK_S)
        return self._source.poll(self._budget.max_records, self._settings.batch.max_bytes, timeout_s=timeout_s)

    def _submit(self, records: Sequence[Record], times: StageTimes) -> Batch:
        """Prepare a batch, and hand its new texts to the device."""
        times.mark("read", time.monotonic())
        polled, polled_at, member = times.last, time.time(), self._source.member()
        # 1. Decode the records, and compute the cache key of each text.
        texts = [self._decode(record) for record in records]
        keys = [self._fingerprint(text.text) if isinstance(text, Decoded) else "" for text in texts]
        distinct = {key: text.text for key, text in zip(keys, texts, strict=True) if isinstance(text, Decoded)}
        times.mark("decode", time.monotonic())
        # 2. Look up each distinct text.
        known = drop_misplaced(self._cache.lookup(list(distinct)), distinct)
        new = [key for key in distinct if key not in known]
        times.mark("lookup", time.monotonic())
        # 3. If there are too many new texts, leave records to the next batch, from the first one beyond the limit.
        if len(new) > (most := self._budget.count_fitting([distinct[key] for key in new])):
            kept = keys.index(new[most])
            self._source.rewind(first_offsets(records[kept:]))
            records, texts, keys, new = records[:kept], texts[:kept], keys[:kept], new[:most]
            known = {key: known[key] for key in keys if key in known}
        # 4. Tokenize the new texts, find their scopes, and submit them. The engine plans device batches.
        tokens, rejected = tokenize_texts(self._tagger, {key: distinct[key] for key in new})
        texts = [rejected.get(key, text) for key, text in zip(keys, texts, strict=True)]
        scopes = self._tagger.find_scopes([distinct[key] for key in tokens], list(tokens.values()))
        computing = self._device.submit(self._compute, tokens, scopes)
        times.mark("tokenize", time.monotonic())
        return Batch(
            records,
            texts,
            keys,
            known,
            new=len(tokens),
            windows=sum(len(text.rows) for text in tokens.values()),
            tokens=sum(text.length for text in tokens.values()),
            computing=computing,
            polled=polled,
            polled_at=polled_at,
            times=times,
            member=member,
            trace=self._traces.begin(records, polled_at),
        )

    def _complete(self) -> None:
        """Complete the oldest batch in flight: its results are encoded, and wait for their commit."""
        # The batch stays in flight until it is complete: if a commit is aborted meanwhile, it must be read again.
        batch = self._in_flight[0]
        # 1. Wait for the device.
        computation = self._await_device(batch)
        if computation is None:
            return
        batch.times.mark_device(computation, time.monotonic())
        device_s = self._device_use.charge_time(computation)
        # 2. Cache the new entries, and encode a result or a dead letter for every record.
        self._cache.remember({key: entry for key, entry in computation.entries.items() if isinstance(entry, Entry)})
        now = datetime.now(UTC)
        output = encode_batch(
            batch, computation.entries, self._settings.output, tagger=self._tagger, encoder=self._encoder, now=now
        )
        batch.times.mark("encode", time.monotonic())
        # 3. The batch waits for the next commit.
        computed_tokens = self._device_use.charge_tokens(self._tagger.computed_tokens)
        self._commits.add(CompletedBatch(batch, output, device_s, computed_tokens))
        self._in_flight.popleft()

    def _commit(self) -> None:
        """Write and commit every completed batch, together."""
        completed = self._commits.completed
        if not completed:
            return
        # 1. Stop before anything is written if no record at all can have a result.
        records, answers = self._commits.records, self._commits.answers
        self._refusals.admit(answers)
        # 2. Write results, dead letters and offsets. The broker refuses them if another member replaced this one.
        offsets = {**self._source.find_drained(), **next_offsets(records)}
        self._commits.begin(time.monotonic())
        self._delivery.write(answers, offsets, self._commits.member)
        # 3. The batches are committed: never read them again.
        self._source.note_committed(offsets)
        self._refusals.note(answers)
        self._commits.clear()
        self._aborts = 0
        self._mark_alive()
        self._count(completed)

    def _count(self, completed: Sequence[CompletedBatch]) -> None:
        """Adjust the budget to the cost of committed batches, and count them."""
        now, committed_at = time.monotonic(), time.time()
        for each in completed:
            batch, times = each.batch, each.batch.times
            batch.trace.end()
            times.mark("write", now)
            self._budget.learn(
                records=len(batch.records),
                new=batch.windows,
                device_s=each.device_s,
                host_s=times.host_s,
                write_s=times.seconds["write"],
            )
        self._telemetry.report_commit([count_batch(each, committed_at=committed_at) for each in completed])

    @property
    def _uncommitted(self) -> list[Batch]:
        return [*(each.batch for each in self._commits.completed), *self._in_flight]

    def _count_uncommitted(self) -> int:
        return sum(len(batch.records) for batch in self._uncommitted)

    def _due_in_s(self) -> float:
        return self._commits.due_in_s(time.monotonic(), max_records=self._budget.max_records)

    def _commit_drained(self) -> None:
        """Commit the ends of partitions alone: without new records, no batch would take them along."""
        now = time.monotonic()
        if now - self._drained_at < DRAINED_S or not (drained := self._source.find_drained()):
            return
        self._drained_at = now
        self._delivery.write((), drained, self._source.member())
        self._source.note_committed(drained)
        self._aborts = 0

    def _await_device(self, batch: Batch) -> Computation | None:
        """Wait for the device, and stay in the group meanwhile.

        Returns:
            The device's results; None if a rebalance meanwhile committed or dropped the batch.

        Raises:
            DeviceLost: the device fails, or does not return.
        """
        # Completed batches wait for the device no longer than for their commit, which may be due now.
        if self._commits.completed and not wait([batch.computing], self._due_in_s()).done:
            self._commit()
        waits = 0
        while self._in_flight and self._in_flight[0] is batch:
            try:
                if wait([batch.computing], STAY_S).done:
                    return batch.computing.result()
            except DeviceFailed as error:
                raise DeviceLost(str(error)) from error
            waits += 1
            if waits == SLOW:
                self._telemetry.report_slow_device(SLOW * STAY_S, len(batch.records))
            if waits == HUNG:
                raise DeviceLost(f"one batch has taken more than {HUNG * STAY_S:.0f} s")
            self._source.stay()
            self._mark_alive()  # `HUNG` bounds this wait
        return None

    def _decode(self, record: Record) -> Decoded | BadRecord:
        try:
            return decode(record, self._settings.input)
        except BadRecord as error:
            # A traceback would keep the record and the whole batch until the next garbage collection.
            error.__context__ = None
            return error.with_traceback(None)

    def _compute(self, tokens: Mapping[str, TokenIds], scopes: Sequence[TextScope]) -> Computation:
        """Run the model, in the device's thread."""
        began, output = time.monotonic(), self._settings.output
        return Computation(compute_entries(self._tagger, tokens, scopes, output), began, time.monotonic())

    def _read_again(self, error: BatchAborted) -> None:
        """After an abort, read every batch again, from the first record that was not committed."""
        self._aborts += 1
        if self._aborts > MAX_ABORTS:
            raise TransactionFailed(self._aborts, str(error)) from error
        self._telemetry.report_abort(str(error), self._aborts, self._count_uncommitted())
        self._source.rewind(self.forget())
        time.sleep(compute_pause_s(self._aborts))
