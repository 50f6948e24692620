"""The number of records of the next batch: as many as are there, up to what the latency objective allows.

The device never waits for a batch to fill. While the device computes batch N, batch N+1 is everything that has arrived
by then. Under load, more records arrive than a batch should contain: then this budget decides. Within a batch, texts
are sorted by length for the device and put back in order afterwards. A batch is committed as a whole, alone or with
others, so no record is overtaken for longer than one batch takes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from emotag_model.long_texts.windows import estimate_windows

BATCHES_IN_FLIGHT = 2
"""A record that is polled now waits for the batch that the device computes, then for its own."""

LEAST_RECORDS = 8
"""A batch may always contain this many records: below, a transaction costs more than its records."""

WEIGHT = 0.3
"""The weight of a full batch's measurement against the average of all batches before."""


class BatchBudget:
    """The size of a batch, from the cost of the last batches.

    Args:
        objective_s: longest time from the poll of a record to its commit, under load.
        most: upper bound, whatever the objective allows.
        record_s: the first estimate of the cost of a record: a new text's time on the device.
    """

    def __init__(self, *, objective_s: float, most: int, record_s: float) -> None:
        self._objective_s = objective_s
        self._most = most
        self._record_s = record_s
        self._new_s = record_s
        self._write_s = 0.0

    @property
    def max_records(self) -> int:
        """The most records of the next batch."""
        batch_s = self._objective_s / BATCHES_IN_FLIGHT - self._write_s
        return max(min(LEAST_RECORDS, self._most), min(self._most, int(batch_s / self._record_s)))

    @property
    def max_new_texts(self) -> int:
        """The most texts of one batch that the cache does not know. Each window of a long text counts as a text.

        Twice what the objective allows, so that this limit matters only if repeats turn into new texts from one batch
        to the next: the cache is gone, or the input has changed.
        """
        batch_s = self._objective_s / BATCHES_IN_FLIGHT - self._write_s
        return max(LEAST_RECORDS, int(2 * batch_s / self._new_s))

    def count_fitting(self, new: Sequence[str]) -> int:
        """Return how many of these new texts a batch may contain, at least one. The others are left to the next batch.

        Windows are estimated from lengths: to tokenize texts that do not fit would take longer than the batch.
        """
        return max(1, bisect_right(list(accumulate(map(estimate_windows, new))), self.max_new_texts))

    def learn(self, *, records: int, new: int, device_s: float, host_s: float, write_s: float) -> None:
        """Update the estimates with a committed batch.

        Args:
            records, new: its records, and the texts that the device computed, where each window counts as a text.
            device_s, host_s: its time on the device and in the pipeline's own thread. Both work at the same time, so
                the slower one decides.
            write_s: the time of its transaction, which hardly depends on its size.
        """
        # A batch of few records shows the cost of a batch rather than that of a record.
        weight = WEIGHT * min(1.0, records / self.max_records)
        record_s = max(device_s, host_s) / records
        self._record_s += weight * (max(record_s, 1e-7) - self._record_s)
        if new:
            weight = WEIGHT * min(1.0, new / self.max_new_texts)
            self._new_s += weight * (max(device_s / new, 1e-7) - self._new_s)
        self._write_s += WEIGHT * (write_s - self._write_s)
