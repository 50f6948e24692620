"""The engine: a batch for each core, texts in the order in which they come, no padding."""

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import wait
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from emotag_model.artifact import Artifact
from emotag_model.daemon_threads import Background
from emotag_model.engines.device import count_usable_cores
from emotag_model.reasons.spans import Maxima

from . import library
from .layout import Layout

BATCH_TOKENS = 256
"""Tokens of one core's batch: enough to use each weight often, and few enough for the cache."""

ALIGNMENT = 64
"""Bytes; see `emotag_forward`."""


class NativeEngine:
    """A model's weights in the library's layout.

    Raises:
        DeviceUnknown: `library.PATH_VARIABLE` names a path that this processor cannot run.
        OSError: the library is missing.
    """

    name = "native"
    device = "cpu"
    precision = "int8"
    concurrency = 2

    def __init__(self, trained: Artifact) -> None:
        self._library = library.load()
        self._path = library.choose_path(os.environ.get(library.PATH_VARIABLE))
        self._layout = Layout(trained.config, trained.weights, self._path.contents)
        self._labels, self._channels = len(trained.config.labels), trained.config.channels
        self._cores = count_usable_cores()
        self._workspaces = threading.local()
        self._threads = Background("native", threads=self._cores)
        self._counting = threading.Lock()
        self.computed_tokens = 0

    @property
    def path(self) -> str:
        """The name of the path that computes."""
        return str(self._path.contents.name.decode())

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """See `Engine.probabilities`."""
        return self._compute(rows, None)

    def explain(self, rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        """See `Engine.explain`."""
        maxima = Maxima.allocate(len(rows), self._channels)
        return self._compute(rows, maxima), maxima

    def _compute(self, rows: Sequence[Sequence[int]], maxima: Maxima | None) -> npt.NDArray[np.float32]:
        """Return the probabilities, and fill *maxima*, if there is one."""
        result_BK = np.empty((len(rows), self._labels), np.float32)
        lengths_B = np.fromiter(map(len, rows), np.int32, len(rows))
        if not lengths_B.all():
            raise ValueError("a text has no tokens")
        ends_B = np.cumsum(lengths_B, dtype=np.int64)
        tokens = int(ends_B[-1]) if len(rows) else 0
        ids_T = np.fromiter(chain.from_iterable(rows), np.int32, tokens)
        batches = [
            self._threads.submit(
                self._infer,
                ids_T[ends_B[first] - lengths_B[first] : ends_B[last - 1]],
                lengths_B[first:last],
                result_BK[first:last],
                maxima.select(slice(first, last)) if maxima else None,
            )
            for first, last in self._plan(ends_B)
        ]
        wait(batches)  # all of them: none may still write when another one's error is raised
        for batch in batches:
            batch.result()
        return result_BK

    def _plan(self, ends_B: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return the texts of each batch, first and one after the last; the cores finish at about the same time."""
        if not len(ends_B):
            return []
        tokens = int(ends_B[-1])
        batches = self._cores * math.ceil(tokens / (BATCH_TOKENS * self._cores))
        borders = np.searchsorted(ends_B, np.arange(1, batches + 1) * tokens / batches, side="left") + 1
        firsts = [0, *np.minimum(borders, len(ends_B)).tolist()]
        return [(first, last) for first, last in pairwise(firsts) if first < last]

    def _infer(
        self,
        ids_T: npt.NDArray[np.int32],
        lengths_B: npt.NDArray[np.int32],
        result_BK: npt.NDArray[np.float32],
        maxima: Maxima | None,
    ) -> None:
        """Compute one batch, with this thread's own working memory."""
        needed = self._library.emotag_workspace(self._path, self._layout.pointer, len(ids_T)) + ALIGNMENT
        memory = getattr(self._workspaces, "mine", None)
        if memory is None or memory.nbytes < needed:
            memory = self._workspaces.mine = np.empty(needed, np.uint8)
        skipped = -memory.ctypes.data % ALIGNMENT
        failed = self._library.emotag_forward(
            self._path,
            self._layout.pointer,
            ids_T.ctypes.data,
            len(ids_T),
            lengths_B.ctypes.data,
            len(lengths_B),
            result_BK.ctypes.data,
            maxima.values_BF.ctypes.data if maxima else None,
            maxima.positions_BF.ctypes.data if maxima else None,
            memory.ctypes.data + skipped,
            memory.nbytes - skipped,
        )
        if failed:
            raise ValueError("a token id or a text's length is out of the model's range")
        with self._counting:
            self.computed_tokens += -(-len(ids_T) // library.ROWS) * library.ROWS

    def recover(self) -> None:
        """See `Engine.recover`; there is nothing to release."""
