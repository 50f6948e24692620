"""Everything that the pipeline calls and that can be swapped: the source, the cache, the tagger, the sink, the traces.

`kafka.input.source`, `cache.redis_cache`, `emotag_model.tagger`, `kafka.output.sink` and `observability.traces`
implement them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from emotag_model.long_texts.modes import LongTexts
from emotag_model.reasons.spans import Spans
from emotag_model.scope.rules import TextScope
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import TokenIds

from .cache.entry import Entry
from .wire.record import Outgoing, Partition, Record


class Group(Protocol):
    """The member of the consumer group that read a batch, as a sink sees it.

    A transaction carries its metadata, so that the broker can refuse the offsets of a member that was replaced
    (KIP-447).
    """

    def group_metadata(self) -> Any:
        """Return the member's metadata, for the producer.

        Raises:
            BatchAborted: the worker was no longer a member when it read the batch.
        """

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets outside of a transaction, and wait for the broker."""


class Source(Protocol):
    """The records of the input topic that this worker reads.

    Every method except `member`, `note_committed` and `find_drained` can raise `StopWorker`.
    """

    def subscribe(self, *, before_revoke: Callable[[], None], when_lost: Callable[[], Mapping[Partition, int]]) -> None:
        """Join the group.

        Args:
            before_revoke: finishes and commits the records read so far, while their partitions belong to this worker.
            when_lost: drops the records read so far, because another worker may process them already; returns the
                first dropped offset of each partition. Partitions that were not lost are read again from there.
        """

    def poll(self, max_records: int, max_bytes: int, *, timeout_s: float) -> list[Record]:
        """Return the records that have arrived, up to the limits; wait up to *timeout_s* for the first one."""

    def member(self) -> Group:
        """Return this worker's membership of the group. Call this after a poll, and keep it with the records."""

    def stay(self) -> None:
        """Poll only to stay in the group: the group removes a member that does not poll."""

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets."""

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """Remember offsets that were committed: the lag is counted from them."""

    def find_drained(self) -> Mapping[Partition, int]:
        """Return offsets to commit although no record leads to them: only transaction markers are before them."""


class Cache(Protocol):
    """Results of texts that may be repeated. A cache that fails returns nothing; it never raises."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that exist, by key."""

    def remember(self, entries: Mapping[str, Entry]) -> None:
        """Keep these entries; return at once."""

    def close(self) -> None:
        """Finish the writes that are in flight, within the timeout."""


class Tagger(Protocol):
    """The model on its device."""

    @property
    def version(self) -> str:
        """`sha256:` and the hash of the model."""

    @property
    def engine(self) -> str:
        """The engine that computes, which changes the last bits of probabilities."""

    @property
    def precision(self) -> str:
        """The precision of its weights and activations, which changes probabilities."""

    @property
    def long_texts(self) -> LongTexts:
        """The way in which it reads texts that are longer than the model's window."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each column of probabilities."""

    @property
    def thresholds(self) -> Thresholds:
        """The threshold of each label."""

    @property
    def concurrency(self) -> int:
        """The number of threads that may compute at a time."""

    @property
    def computed_tokens(self) -> int:
        """Tokens computed so far, padding included."""

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of each text."""

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        """Return the scope and the language of each text; *tokens* are those of the same texts."""

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        """Return the probabilities, [B, K], and the error of every text that has none, by row.

        Raises:
            DeviceFailed: the device fails on every text.
        """

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        """Return what `probabilities_or_errors` returns, and between both the spans, [B, K, SPANS, 3], of each label.

        The tagger was loaded with reasons. Raises what `probabilities_or_errors` raises.
        """

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probabilities of a long text, [K], from those of its windows, [W, K]."""

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> Sequence[tuple[tuple[str, float], ...]]:
        """Return the labels of each text at or over their threshold, with their scores, best first."""


class Sink(Protocol):
    """The output and dead-letter topics, and the offsets of the input topic.

    Attributes:
        transactional: if `write` raises BatchAborted, nothing is written. Without transactions, records may be.
    """

    transactional: bool

    def open(self) -> None:
        """Get ready: end the transaction that an earlier process of this worker left open."""

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Group,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        """Write and commit the records of one or more batches, all of them or none.

        Args:
            flush_after: after the records with these indices, wait until all records before are written: records on
                either side then share no produce batch.

        Raises:
            RecordsRefused: the brokers refuse some records; write the others again, and these in another form.
            BatchAborted: no consumer sees any of the records; read their input again.
            StopWorker: this worker cannot continue.
        """


class BatchTrace(Protocol):
    """The spans of one batch."""

    def continue_trace(self, record: Record) -> Record:
        """Return the record with headers that continue its trace in the result."""

    def end(self, error: str = "") -> None:
        """End the spans: the batch was committed, or failed with this kind of error. Only the first call counts."""


class Traces(Protocol):
    """The receiver of spans."""

    def begin(self, records: Sequence[Record], polled_at: float) -> BatchTrace:
        """Begin the spans of a batch that was polled at *polled_at*, in seconds since 1970."""

    def close(self) -> None:
        """Send the remaining spans, within a short timeout."""
