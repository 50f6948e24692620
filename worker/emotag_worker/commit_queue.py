"""The batches whose results are encoded and wait for their commit: when they are due, and which are written together.

A transaction costs a marker in each partition that it writes to, and requests to three brokers, whether it contains one
record or thousands. So at most one begins in an interval, and batches that complete meanwhile share the next one. This
limits the rate of commits and delays nothing else: after a pause of one interval, a batch is due as soon as it is
complete. Results wait in memory and not in an open transaction, so a killed worker holds up no consumer.
"""

import math
from collections.abc import Sequence

from .batch import CompletedBatch
from .protocols import Group
from .wire.record import Answer, Record, size_of


class CommitQueue:
    """Completed batches, oldest first.

    Args:
        interval_s: shortest time from the beginning of one commit to the beginning of the next; 0: no limit.
        max_bytes: size of the records read, from which on a commit is due at once.
    """

    def __init__(self, *, interval_s: float, max_bytes: int) -> None:
        self._interval_s = interval_s
        self._max_bytes = max_bytes
        self._completed: list[CompletedBatch] = []
        self._bytes = 0
        self._next_at = -math.inf

    @property
    def completed(self) -> Sequence[CompletedBatch]:
        """The batches of the next commit."""
        return tuple(self._completed)

    @property
    def records(self) -> list[Record]:
        """All records that were read."""
        return [record for each in self._completed for record in each.batch.records]

    @property
    def answers(self) -> list[Answer]:
        """All answers to write."""
        return [answer for each in self._completed for answer in each.output.answers]

    @property
    def member(self) -> Group:
        """The membership at the newest poll. All batches are of one membership, as `kafka.input.member` explains."""
        return self._completed[-1].batch.member

    def add(self, completed: CompletedBatch) -> None:
        """Add a batch that is younger than all others."""
        self._completed.append(completed)
        self._bytes += sum(size_of(record) for record in completed.batch.records)

    def due_in_s(self, now: float, *, max_records: int) -> float:
        """Return the seconds until the next commit is due: 0 if it is, infinity if no batch waits.

        Batches that together are as large as a batch may be do not wait. So a transaction contains less than twice as
        much as that, and ends well within its timeout; and under full load each batch is committed at once.
        """
        if not self._completed:
            return math.inf
        if sum(len(each.batch.records) for each in self._completed) >= max_records or self._bytes >= self._max_bytes:
            return 0.0
        return max(0.0, self._next_at - now)

    def begin(self, now: float) -> None:
        """Begin a commit: the stage `hold` of its batches ends, and the next one is due an interval later.

        Counted from the beginning, so that batches which take as long as the interval never wait.
        """
        self._next_at = now + self._interval_s
        for each in self._completed:
            each.batch.times.mark("hold", now)

    def clear(self) -> None:
        """Remove all batches: they are committed, or will be read again."""
        self._completed.clear()
        self._bytes = 0
