"""One batch of the stream: the records that are processed together, and their counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from emotag_model.scope.rules import TextScope

from .cache.entry import Entry
from .errors import BadRecord
from .protocols import BatchTrace, Group
from .wire.decode import Decoded
from .wire.record import Answer, Record

HOST_STAGES = ("decode", "lookup", "tokenize", "encode")
"""Stages in the pipeline's own thread, which run while the device computes another batch."""


@dataclass(frozen=True)
class Computation:
    """The device's results for the new texts of one batch.

    Attributes:
        entries: by cache key, an entry, or the reason why the device rejected the text.
        began, ended: seconds of the monotonic clock.
    """

    entries: Mapping[str, Entry | BadRecord]
    began: float
    ended: float


class StageTimes:
    """The seconds of each stage of a batch, from one mark to the next. The caller reads the clock.

    Attributes:
        seconds: by stage.
        last: the clock at the last mark.
    """

    def __init__(self, now: float) -> None:
        self.seconds: dict[str, float] = {}
        self.last = now

    def mark(self, stage: str, now: float) -> None:
        """End a stage."""
        self.seconds[stage] = now - self.last
        self.last = now

    def mark_device(self, computation: Computation, now: float) -> None:
        """End the wait for the device and its computation, as the device's own thread measured them."""
        if computation.entries:
            self.seconds["wait"] = max(0.0, computation.began - self.last)
            self.seconds["device"] = computation.ended - computation.began
        self.last = now

    @property
    def host_s(self) -> float:
        """The seconds in the pipeline's own thread, without reading and writing."""
        return sum(self.seconds.get(stage, 0.0) for stage in HOST_STAGES)


@dataclass
class Batch:
    """Records that are processed together.

    Attributes:
        records: in the order in which they were read.
        texts: for each record, its text or the reason why it has none.
        keys: for each record, its cache key; empty if it has no text.
        known: the entries of the cache, by key.
        new, windows, tokens: the number of texts for the device, of their windows, and of their tokens. A text that is
            not split counts as one window.
        computing: resolves to the device's results for the new texts.
        polled, polled_at: when the records had been read, by the monotonic clock and in seconds since 1970.
        times: the stages so far.
        member: this worker's membership of the group at the poll.
        trace: the spans of the batch.
    """

    records: Sequence[Record]
    texts: Sequence[Decoded | BadRecord]
    keys: Sequence[str]
    known: Mapping[str, Entry]
    new: int
    windows: int
    tokens: int
    computing: Future[Computation]
    polled: float
    polled_at: float
    times: StageTimes
    member: Group
    trace: BatchTrace


@dataclass(frozen=True)
class Tagged:
    """The results of one batch as arrays: for the distributions of scores and lengths, and for drift.

    Attributes:
        probabilities_BK, given_BK: the scores of each distinct text, and the labels that are over their thresholds.
        tokens_B, unknown_B: the tokens of each distinct text, and how many of these the vocabulary does not have.
        rows_N: for each result, the row of its text.
    """

    probabilities_BK: npt.NDArray[np.float32]
    given_BK: npt.NDArray[np.bool_]
    tokens_B: npt.NDArray[np.int64]
    unknown_B: npt.NDArray[np.int64]
    rows_N: npt.NDArray[np.int64]


@dataclass
class BatchOutput:
    """The answers of one batch, and their counts.

    Attributes:
        answers: a result, a dead letter or a tombstone for each record of the batch, in its order.
        scopes, tagged: as in `BatchCounts`.
    """

    answers: list[Answer] = field(default_factory=list)
    scopes: Counter[TextScope] = field(default_factory=Counter)
    tagged: Tagged | None = None

    @property
    def sources(self) -> Counter[str]:
        """As in `BatchCounts`."""
        return Counter(answer.source for answer in self.answers if answer.source)

    @property
    def dead_letters(self) -> Counter[str]:
        """As in `BatchCounts`."""
        return Counter(answer.reason for answer in self.answers if answer.reason)

    @property
    def tombstones(self) -> Counter[str]:
        """As in `BatchCounts`."""
        neither = (answer for answer in self.answers if not answer.source and not answer.reason)
        return Counter("skipped" if answer.outgoing is None else "forwarded" for answer in neither)

    @property
    def truncated(self) -> int:
        """As in `BatchCounts`."""
        return sum(answer.truncated for answer in self.answers)


@dataclass(frozen=True)
class CompletedBatch:
    """A batch whose results are encoded.

    Attributes:
        device_s: device time of the batch, without the time that it shared with the batches before it.
        computed_tokens: the tokens that the device computed, padding included.
    """

    batch: Batch
    output: BatchOutput
    device_s: float
    computed_tokens: int


@dataclass(frozen=True)
class BatchCounts:
    """The figures of one committed batch.

    Attributes:
        records: all records of the batch.
        sources: the number of results by source: `computed`, `repeat` (the same text as another record of the batch),
            `cache`.
        dead_letters: the number of dead letters by reason.
        tombstones: the number of other tombstones by outcome: `forwarded`, `skipped`.
        scopes: the number of records whose text the model read, by scope and language of the text.
        truncated: the number of results of which only the beginning of the text was tagged.
        texts, tokens: the number of texts that the device computed, and the number of their tokens.
        computed_tokens: the tokens that the device computed, padding included.
        seconds: from the end of the poll to the end of the commit.
        stages: seconds of each stage.
        device_seconds: device time of the batch, without the time that it shared with the batches before it.
        polled_at, committed_at: seconds since 1970.
        tagged: None if there is no result.
    """

    records: Sequence[Record]
    sources: Mapping[str, int]
    dead_letters: Mapping[str, int]
    tombstones: Mapping[str, int]
    scopes: Mapping[TextScope, int]
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


def count_batch(completed: CompletedBatch, *, committed_at: float) -> BatchCounts:
    """Return the figures of a batch whose last stage has ended with its commit."""
    batch, output = completed.batch, completed.output
    return BatchCounts(
        records=batch.records,
        sources=output.sources,
        dead_letters=output.dead_letters,
        tombstones=output.tombstones,
        scopes=output.scopes,
        truncated=output.truncated,
        texts=batch.new,
        tokens=batch.tokens,
        computed_tokens=completed.computed_tokens,
        seconds=batch.times.last - batch.polled,
        stages=batch.times.seconds,
        device_seconds=completed.device_s,
        polled_at=batch.polled_at,
        committed_at=committed_at,
        tagged=output.tagged,
    )


class DeviceUse:
    """Divide the device's time and tokens among batches: an engine may compute several batches at a time.

    Args:
        computed_tokens: the device's counter before the first batch.
    """

    def __init__(self, computed_tokens: int) -> None:
        self._busy_until = 0.0
        self._computed_tokens = computed_tokens

    def charge_time(self, computation: Computation) -> float:
        """Return the device time of a computation, without the time that it shared with earlier computations."""
        began = max(computation.began, self._busy_until)
        self._busy_until = max(computation.ended, self._busy_until)
        return max(0.0, computation.ended - began)

    def charge_tokens(self, computed_tokens: int) -> int:
        """Return the tokens that the device computed since the last call."""
        before, self._computed_tokens = self._computed_tokens, computed_tokens
        return computed_tokens - before
