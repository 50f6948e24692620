"""A Prometheus histogram that counts the values of a whole batch at once.

The client library's own histogram takes one value at a time, about a microsecond each: with 28 scores per record, that
would be the worker's slowest stage. This one counts thousands of values with numpy and exposes the same samples.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

EXEMPLAR_CANDIDATES = 64
"""The number of values at the end of a batch that are searched for exemplars: a few are as good as thousands."""


class BatchHistogram(Collector):
    """One histogram, or one histogram for each value of a label.

    Args:
        edges: upper bounds of the bins, without the infinite one.
        label: the label's name and its K values. Without a label, K = 1.
    """

    def __init__(
        self, name: str, text: str, edges: Sequence[float], *, label: tuple[str, Sequence[str]] | None = None
    ) -> None:
        self._name, self._text, self._edges = name, text, edges
        self._labels = [] if label is None else [label[0]]
        self._values = [[]] if label is None else [[value] for value in label[1]]
        self._counts_KS = np.zeros((len(self._values), len(edges) + 1), np.int64)
        self._sums_K = np.zeros(len(self._values))
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = Lock()  # scrapes run in another thread

    def add(self, values_NK: npt.NDArray[Any], times_N: npt.NDArray[np.int64] | None = None) -> None:
        """Count values: one column for each value of the label, each row *times_N* times."""
        # Sums of 0 or 1 times the counts of one batch: exact in float32 up to 16 million, and fast.
        times = np.ones(len(values_NK), np.float32) if times_N is None else times_N.astype(np.float32)
        over_SK = [times @ (values_NK > edge).astype(np.float32) for edge in np.asarray(self._edges, values_NK.dtype)]
        every_K = np.full(len(self._values), times.sum())
        counts_SK = -np.diff([every_K, *over_SK, np.zeros_like(every_K)], axis=0)
        sums_K = times.astype(np.float64) @ values_NK.astype(np.float64)
        with self._lock:
            self._counts_KS += counts_SK.T.astype(np.int64)
            self._sums_K += sums_K

    def add_with_exemplars(
        self, values_N: npt.NDArray[np.float64], find_exemplar: Callable[[int], Mapping[str, str] | None]
    ) -> None:
        """Count values, and keep one exemplar per bin.

        Args:
            find_exemplar: returns the exemplar's labels for the value at an index, or None.
        """
        self.add(values_N[:, None])
        new: dict[int, Exemplar] = {}
        for n in range(len(values_N) - 1, max(-1, len(values_N) - 1 - EXEMPLAR_CANDIDATES), -1):
            if (place := bisect_left(self._edges, values_N[n])) not in new and (labels := find_exemplar(n)):
                new[place] = Exemplar(dict(labels), float(values_N[n]), time.time())
        with self._lock:
            self._exemplars |= new

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram in Prometheus' form, with counts up to each edge."""
        with self._lock:
            counts_KS, sums_K = self._counts_KS.cumsum(axis=1).tolist(), self._sums_K.tolist()
            exemplars = dict(self._exemplars)
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(float(edge)) for edge in self._edges), "+Inf"]
        for values, counts_S, total in zip(self._values, counts_KS, sums_K, strict=True):
            shown = [
                (name, count, exemplars[place]) if place in exemplars else (name, count)
                for place, (name, count) in enumerate(zip(names, counts_S, strict=True))
            ]
            family.add_metric(values, shown, total)
        yield family
