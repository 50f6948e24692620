"""One step of the stream: records in, emotions out, offsets last.

    poll → decode → fingerprint → look up → tokens → tag → remember → encode → produce → commit

The order is the delivery guarantee. This module owns that order and nothing else.

The device never waits for Kafka, JSON or Redis: step N+1 is polled, looked up and tokenised before step N is
collected, and step N is written and committed while the device is at step N+1. An engine that gains from it begins
step N+1 where step N has no more to begin.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import wait
from datetime import UTC, datetime
from threading import Event

import numpy as np
import numpy.typing as npt

from model.background import Background
from model.tagger import DeviceFailed, EmotionTagger
from model.tokens import TokenIds

from .batching import StepBudget
from .cache import Cache
from .decode import Decoded, decode
from .encode import Answer, Encoder
from .entry import VERSION, Entry, quantise
from .errors import BadRecord, DeviceLost, DeviceRejected, StepAborted, TransactionFailed
from .fingerprint import Fingerprint
from .metrics import StepCounts, Tagged
from .offsets import Partition, first_offsets, next_offsets
from .record import Record
from .refusals import RefusalLimit
from .settings import Settings
from .sink import MAX_ABORTS, Sink, pause_s
from .source import Source
from .step import Computed, Step, Written
from .telemetry import Telemetry
from .traces import NoTraces, Traces

IDLE_POLL_S = 0.1
"""Longest wait for a record while nothing is under way; also how late a signal to stop is noticed."""

STAY_S = 1.0
"""How long the device is waited for before the group is shown again that this worker lives."""

SLOW, HUNG = 10, 120
"""After how many such waits a step is called slow in the log, and after how many the device is called lost. Waits are
counted rather than seconds: a process that was stopped for an hour has not waited for it."""

DEVICE_PATIENCE_S = 5.0
"""How long the end of the process waits for the forward pass that the device is at."""


class Pipeline:
    """The way of the records, from the source to the sink."""

    def __init__(
        self,
        *,
        source: Source,
        cache: Cache,
        tagger: EmotionTagger,
        sink: Sink,
        encoder: Encoder,
        budget: StepBudget,
        settings: Settings,
        telemetry: Telemetry,
        traces: Traces | None = None,
    ) -> None:
        self._source = source
        self._cache = cache
        self._tagger = tagger
        self._sink = sink
        self._encoder = encoder
        self._budget = budget
        self._settings = settings
        self._telemetry = telemetry
        self._traces = traces or NoTraces()
        self._fingerprint = Fingerprint(
            # Eight bytes of the version tell models apart; the precision belongs to it, since it moves probabilities.
            model=f"{tagger.version.removeprefix('sha256:')[:16]}-{tagger.precision}-{VERSION}",
            key=settings.cache.key.get_secret_value() if settings.cache.key else "",
        )
        self._refusals = RefusalLimit(most=settings.dlq.max_ratio, window=settings.dlq.window)
        self._device = Background("device", threads=tagger.concurrency)
        self._device_free_at = 0.0
        self._computed_tokens = tagger.computed_tokens
        self._under_way: deque[Step] = deque()
        self._aborts = 0

    def run(self, stop: Event, *, after_each_round: Callable[[], None]) -> None:
        """Go on until *stop*, then finish what was begun.

        Raises:
            StopWorker: the worker cannot go on; nothing uncommitted was lost.
        """
        self._source.subscribe(before_revoke=self.finish, when_lost=self.forget)
        while not stop.is_set():
            self.advance()
            after_each_round()
        try:
            self.finish()
        except StepAborted as error:  # whoever reads these partitions next does it again
            self._telemetry.step_aborted(str(error), self._aborts + 1, len(self._under_way[0].records))

    def advance(self) -> None:
        """Submit step N+1, then collect step N."""
        try:
            asked = time.monotonic()
            records = self._poll()
            if records:
                self._under_way.append(self._submit(records, asked))
            while len(self._under_way) > bool(records):
                self._collect()
        except StepAborted as error:
            self._read_again(error)

    def finish(self) -> None:
        """Collect everything under way: before partitions go to another worker, and before leaving."""
        while self._under_way:
            self._collect()

    def forget(self) -> dict[Partition, int]:
        """Drop everything under way: its partitions were taken, and another worker is at them.

        Returns:
            The first offset of each: whichever partition is still ours is to be read again from there.
        """
        records = [record for step in self._under_way for record in step.records]
        for step in self._under_way:
            step.computing.cancel()
            step.trace.end("aborted")
        self._under_way.clear()
        return first_offsets(records)

    def close(self) -> None:
        """End the device's thread; what is under way is dropped, and will be read again.

        To be called before the source is closed: leaving the group asks for everything under way to be finished, and
        after a failure that must not be tried again.
        """
        self.forget()
        self._device.close(DEVICE_PATIENCE_S)

    def _poll(self) -> list[Record]:
        timeout_s = 0.0 if self._under_way else IDLE_POLL_S
        return self._source.poll(self._budget.records(), self._settings.batch.max_bytes, timeout_s=timeout_s)

    def _submit(self, records: Sequence[Record], asked: float) -> Step:
        began, polled_at = time.monotonic(), time.time()
        texts = [self._decode(record) for record in records]
        keys = [self._fingerprint(text.text) if isinstance(text, Decoded) else "" for text in texts]
        wanted = {key: text.text for key, text in zip(keys, texts, strict=True) if isinstance(text, Decoded)}
        decoded = time.monotonic()
        known = self._cache.lookup(list(wanted))
        looked_up = time.monotonic()
        new = [key for key in wanted if key not in known]
        if len(new) > (most := self._budget.new_texts()):
            kept = keys.index(new[most])  # up to the first record whose text is too many
            self._source.rewind(first_offsets(records[kept:]))
            records, texts, keys, new = records[:kept], texts[:kept], keys[:kept], new[:most]
        tokens = self._tagger.tokenise([wanted[key] for key in new])
        tokenised = time.monotonic()
        return Step(
            records,
            texts,
            keys,
            known,
            new=len(new),
            tokens=sum(len(text.ids) for text in tokens),
            computing=self._device.submit(self._compute, new, tokens),
            began=began,
            submitted=time.monotonic(),
            polled_at=polled_at,
            stages={
                "read": began - asked,
                "decode": decoded - began,
                "lookup": looked_up - decoded,
                "tokenise": tokenised - looked_up,
            },
            trace=self._traces.begin(records, polled_at),
        )

    def _collect(self) -> None:
        # It stays under way until it is committed: an aborted step is among those that are read again.
        step = self._under_way[0]
        found = self._await(step)
        if found is None:
            return
        computed, computing_from, computing_until = found
        # Steps overlap on the device where one has no more to begin: each is charged what it added.
        device_s = max(0.0, computing_until - max(computing_from, self._device_free_at))
        self._device_free_at = max(computing_until, self._device_free_at)
        collecting = time.monotonic()
        self._cache.remember({key: entry for key, entry in computed.items() if isinstance(entry, Entry)})
        written = self._encode(step, computed)
        records, dead = len(step.records), written.dead_letters.total()
        self._refusals.admit(records, dead)
        writing = time.monotonic()
        offsets = next_offsets(step.records)
        self._sink.write(written.records, offsets, self._source)
        self._source.note_committed(offsets)
        self._refusals.note(records, dead)
        self._under_way.popleft()
        self._aborts = 0
        step.trace.end()
        now = time.monotonic()
        self._budget.learn(
            records=records,
            new=step.new,
            device_s=device_s,
            host_s=step.submitted - step.began + writing - collecting,
            write_s=now - writing,
        )
        if step.new:
            step.stages["wait"] = max(0.0, computing_from - step.submitted)
            step.stages["device"] = computing_until - computing_from
        before, self._computed_tokens = self._computed_tokens, self._tagger.computed_tokens
        self._telemetry.step_committed(
            StepCounts(
                records=step.records,
                origins=written.origins,
                dead_letters=written.dead_letters,
                truncated=written.truncated,
                texts=step.new,
                tokens=step.tokens,
                computed_tokens=self._computed_tokens - before,
                seconds=now - step.began,
                stages={**step.stages, "encode": writing - collecting, "write": now - writing},
                device_seconds=device_s,
                polled_at=step.polled_at,
                committed_at=time.time(),
                tagged=written.tagged,
            )
        )

    def _await(self, step: Step) -> tuple[Computed, float, float] | None:
        """What the device found; None where the step was committed or forgotten meanwhile, as its partitions went."""
        waits = 0
        while self._under_way and self._under_way[0] is step:
            try:
                if wait([step.computing], STAY_S).done:
                    return step.computing.result()
            except DeviceFailed as error:
                raise DeviceLost(str(error)) from error
            waits += 1
            if waits == SLOW:
                self._telemetry.device_slow(SLOW * STAY_S, len(step.records))
            if waits == HUNG:
                raise DeviceLost(f"one step has taken it more than {HUNG * STAY_S:.0f} s")
            self._source.stay()
        return None

    def _decode(self, record: Record) -> Decoded | BadRecord:
        try:
            return decode(record, self._settings.input)
        except BadRecord as error:
            return error

    def _compute(self, keys: Sequence[str], tokens: Sequence[TokenIds]) -> tuple[Computed, float, float]:
        """In the device's thread: entries for *keys*, and from when until when it was at them."""
        began = time.monotonic()
        if not keys:
            return {}, began, began
        probabilities_BK, errors = self._tagger.probabilities_or_errors(tokens)
        rows_BK = quantise(probabilities_BK)
        computed: Computed = {
            key: DeviceRejected(errors[row])
            if row in errors
            else Entry(row_K, text.truncated, len(text.ids), text.unknown)
            for row, (key, row_K, text) in enumerate(zip(keys, rows_BK, tokens, strict=True))
        }
        return computed, began, time.monotonic()

    def _encode(self, step: Step, computed: Computed) -> Written:
        """A result or a dead letter for every record, in the input's order."""
        now = datetime.now(UTC)
        written = Written()
        entries = {**step.known, **{key: found for key, found in computed.items() if isinstance(found, Entry)}}
        probabilities_BK = (
            np.stack([e.probabilities_K for e in entries.values()]) if entries else np.empty((0, 0), np.float32)
        )
        answers = self._answers(entries, probabilities_BK, step.known)
        row_of = {key: row for row, key in enumerate(entries)}
        rows: list[int] = []
        answered: set[str] = set()
        for record, text, key in zip(step.records, step.texts, step.keys, strict=True):
            if isinstance(text, BadRecord) or key not in row_of:
                refusal = text if isinstance(text, BadRecord) else computed[key]
                assert isinstance(refusal, BadRecord)  # what was computed and has no answer was refused
                written.records.append(self._encoder.dead_letter(record, refusal, now))
                written.dead_letters[type(refusal).__name__] += 1
                continue
            rows.append(row_of[key])
            answer = answers[rows[-1]]
            written.records.append(self._encoder.result(step.trace.continued(record), text, answer, now))
            written.origins["cache" if answer.cached else "repeat" if key in answered else "computed"] += 1
            written.truncated += answer.truncated
            answered.add(key)
        if rows:
            written.tagged = self._tagged(entries.values(), probabilities_BK, rows)
        return written

    def _answers(
        self, entries: Mapping[str, Entry], probabilities_BK: npt.NDArray[np.float32], known: Mapping[str, Entry]
    ) -> list[Answer]:
        """What is said of each text; of those in *known*, that the cache said it."""
        if not entries:
            return []
        emotions = self._tagger.emotions(probabilities_BK)
        scores: list[dict[str, float] | None] = [None] * len(entries)
        if self._settings.output.all_scores:
            scores = [dict(zip(self._tagger.labels, row, strict=True)) for row in probabilities_BK.tolist()]
        return [
            Answer(emotions[row], scores[row], truncated=entry.truncated, cached=key in known)
            for row, (key, entry) in enumerate(entries.items())
        ]

    def _tagged(
        self, entries: Collection[Entry], probabilities_BK: npt.NDArray[np.float32], rows: Sequence[int]
    ) -> Tagged:
        return Tagged(
            probabilities_BK,
            self._tagger.thresholds.decide(probabilities_BK),
            np.fromiter((entry.tokens for entry in entries), np.int64, len(entries)),
            np.fromiter((entry.unknown for entry in entries), np.int64, len(entries)),
            np.array(rows, np.int64),
        )

    def _read_again(self, error: StepAborted) -> None:
        """After an abort: everything under way is read anew, from the first record that was not committed."""
        self._aborts += 1
        if self._aborts > MAX_ABORTS:
            raise TransactionFailed(self._aborts, str(error)) from error
        self._telemetry.step_aborted(str(error), self._aborts, sum(len(step.records) for step in self._under_way))
        self._source.rewind(self.forget())
        time.sleep(pause_s(self._aborts))
