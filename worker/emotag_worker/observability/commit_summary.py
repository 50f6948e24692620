"""A summary of the commits of ten seconds: one log line for any number of commits."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from emotag_worker.batch import BatchCounts

PERIOD_S = 10.0
"""With a line of about 300 bytes, a worker that is never idle logs less than 3 MB a day."""


class CommitSummary:
    """Sums over the commits since the last summary. The caller reads the clock."""

    def __init__(self) -> None:
        self._clear()

    def add(self, batches: Sequence[BatchCounts], now: float) -> None:
        """Add one commit."""
        if not self._commits:
            self._since = now
        self._commits += 1
        for batch in batches:
            self._sources.update(batch.sources)
            self._dead_letters.update(batch.dead_letters)
            self._durations.append((batch.seconds, len(batch.records)))

    def take(self, now: float, *, ended: bool = False) -> dict[str, object] | None:
        """Return the fields of a summary and begin the next; None if it is not time, or if nothing was committed.

        A period begins with its first commit. `p50_ms` and `p99_ms` are times from the poll of a record to its commit.

        Args:
            ended: the worker stops, so the period is shorter.
        """
        if not self._commits or (now - self._since < PERIOD_S and not ended):
            return None
        summary = {
            "records": self._records,
            "results": self._sources.total(),
            "cache_hits": self._sources["cache"],
            "repeats": self._sources["repeat"],
            "dead_letters": dict(self._dead_letters),
            "commits": self._commits,
            "period_s": round(now - self._since, 1),
            "p50_ms": self._compute_quantile_ms(0.5),
            "p99_ms": self._compute_quantile_ms(0.99),
        }
        self._clear()
        return summary

    @property
    def _records(self) -> int:
        return sum(records for _, records in self._durations)

    def _compute_quantile_ms(self, share: float) -> float:
        """Return the time that this share of the records did not exceed."""
        durations = sorted(self._durations)
        counts = accumulate(records for _, records in durations)
        place = next(place for place, count in enumerate(counts) if count >= share * self._records)
        return round(durations[place][0] * 1000, 1)

    def _clear(self) -> None:
        self._commits = 0
        self._since = 0.0
        self._sources: Counter[str] = Counter()
        self._dead_letters: Counter[str] = Counter()
        self._durations: list[tuple[float, int]] = []
        """Seconds and number of records of each batch."""
