"""The model on a CPU by OpenVINO: one stream of work per core, so that no core waits for another."""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.artifact import Artifact
from emotag_model.daemon_threads import Background
from emotag_model.errors import DeviceUnknown
from emotag_model.reasons.spans import Maxima
from emotag_model.weights import read_embeddings

from .device import count_usable_cores, list_instructions
from .openvino_graph import build, feed, ov
from .packing import pack, plan_batches
from .precision import PRECISIONS, PrecisionName

BATCH_TOKENS = 512
"""Tokens of one stream's batch: few enough that its data fits into the cache of one core."""

ROUND_TOKENS = 16
"""A batch is filled up to a multiple of this many tokens: kernels are compiled per shape; this leaves few shapes."""

SHAPES_KEPT = 64
"""The number of batch shapes for which OpenVINO keeps prepared kernels."""

HINTS: dict[str, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""OpenVINO's default number format; in int8 it applies to everything except the encoder's linear layers."""


def is_exact(precision: PrecisionName) -> bool:
    """Return True if OpenVINO and the processor compute the precision without cutting anything off, fast or not."""
    row = PRECISIONS[precision]
    if "openvino" not in row.engines:
        return False
    if row.capability and row.capability not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    return not row.instructions or not row.instructions.isdisjoint(list_instructions())


class OpenVinoEngine:
    """A model's weights in OpenVINO's own layout.

    Args:
        explained: `explain` is possible. The graph then has more outputs, and every call computes them.

    Raises:
        DeviceUnknown: OpenVINO cannot compute that precision on this processor.
    """

    name = "openvino"
    device = "cpu"
    concurrency = 2

    def __init__(self, trained: Artifact, *, precision: PrecisionName, explained: bool = False) -> None:
        self.precision: str = precision
        self._config = trained.config
        core = ov.Core()
        if not is_exact(precision):
            raise DeviceUnknown(
                f"precision {precision!r} is not available on this processor with openvino; use auto or fp32"
            )
        cores = count_usable_cores()
        model = core.compile_model(
            build(trained.config, trained.weights, precision=precision, explained=explained),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": cores,
                "NUM_STREAMS": cores,
                "INFERENCE_PRECISION_HINT": HINTS[precision],
                # OpenVINO's threads share the cores with ours, and only the scheduler knows which of them wait.
                "ENABLE_CPU_PINNING": False,
                # By default OpenVINO keeps 5,000 shapes: tens of MB that add up over days and make no text faster.
                "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
            },
        )
        self._words_VC = read_embeddings(trained.weights)
        self._streams = cores
        self._model = model
        self._request = threading.local()
        self.computed_tokens = 0
        self._counting = threading.Lock()
        # First come, first served: a second call's batches begin when the first call has none left to begin.
        self._threads = Background("openvino", threads=cores)

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """See `Engine.probabilities`."""
        result_BK = np.empty((len(rows), len(self._config.labels)), np.float32)
        for texts, found in self._compute(rows):
            result_BK[texts] = found[0]
        return result_BK

    def explain(self, rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        """See `Engine.explain`."""
        result_BK = np.empty((len(rows), len(self._config.labels)), np.float32)
        maxima = Maxima.allocate(len(rows), self._config.channels)
        for texts, found in self._compute(rows):
            result_BK[texts], maxima.values_BF[texts], maxima.positions_BF[texts] = found
        return result_BK, maxima

    def _compute(self, rows: Sequence[Sequence[int]]) -> list[tuple[list[int], list[npt.NDArray[Any]]]]:
        """Return the indices of the texts of each batch, and the outputs for them."""
        plan = plan_batches([len(row) for row in rows], max_tokens=self._compute_budget(rows))
        batches = [(texts, self._threads.submit(self._infer, [rows[text] for text in texts])) for texts in plan]
        wait([answer for _, answer in batches])  # all of them: none may still run when another one's error is raised
        return [(texts, answer.result()) for texts, answer in batches]

    def _infer(self, rows: Sequence[Sequence[int]]) -> list[npt.NDArray[Any]]:
        """Compute one batch, with this thread's own request, and return each output of the graph."""
        if not hasattr(self._request, "mine"):
            self._request.mine = self._model.create_infer_request()
        batch = pack(rows, round_to=ROUND_TOKENS, fill_id=self._config.pad_token_id)
        self._request.mine.infer(feed(batch, self._config, self._words_VC))
        with self._counting:
            self.computed_tokens += len(batch.ids_T)
        return [tensor.data[: len(rows)].copy() for tensor in self._request.mine.output_tensors]

    def recover(self) -> None:
        """See `Engine.recover`; there is nothing to release."""

    def _compute_budget(self, rows: Sequence[Sequence[int]]) -> int:
        """Return the tokens per batch with which the streams finish at about the same time."""
        streams, total = self._streams, sum(map(len, rows))
        rounds = math.ceil(total / (BATCH_TOKENS * streams))
        return max(1, math.ceil(total / max(1, rounds * streams) * 1.05))
