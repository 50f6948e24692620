"""The model on a CPU by OpenVINO: one stream of work a core, so that no core waits for another."""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import wait

import numpy as np
import numpy.typing as npt

from .artifact import Artifact
from .background import Background
from .batching import plan_batches
from .device import DeviceUnknown, instructions, usable_cores
from .openvino_graph import build, embeddings, feed
from .openvino_runtime import ov
from .packing import pack

BATCH_TOKENS = 512
"""Tokens of one stream's batch: what it works on then stays in a core's own cache."""

ROUND_TOKENS = 16
"""A batch is filled up to a multiple of this many tokens: kernels are compiled for a shape, and few shapes are left."""

SHAPES_KEPT = 64
"""How much of what it prepared for shapes of batches OpenVINO keeps at hand."""

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""How OpenVINO is to compute what is not said otherwise; in int8 that is all but the trunk's linear layers."""


def is_exact(precision: str) -> bool:
    """Whether the processor has what the precision needs. Says nothing of whether that is fast."""
    if precision == "bf16":
        return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "int8":  # without these, sums of two 8-bit products are cut off at 16 bits
        return not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(instructions())
    return precision in HINTS


class OpenVinoEngine:
    """A model's weights in OpenVINO's own layout.

    Raises:
        DeviceUnknown: this processor cannot do that precision.
    """

    name = "openvino"
    device = "cpu"
    concurrency = 2

    def __init__(self, trained: Artifact, *, precision: str) -> None:
        self.precision = precision
        self._config = trained.config
        core = ov.Core()
        if not is_exact(precision):
            raise DeviceUnknown(f"OpenVINO cannot do {precision} on this processor")
        cores = usable_cores()
        model = core.compile_model(
            build(trained.config, trained.weights, int8=precision == "int8"),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": cores,
                "NUM_STREAMS": cores,
                "INFERENCE_PRECISION_HINT": HINTS[precision],
                # Its threads share the cores with the stream's own: the scheduler knows better who waits for what.
                "ENABLE_CPU_PINNING": False,
                # What it keeps of shapes it has met, 5,000 of them by itself: tens of MB that come over days, and no
                # text is tagged sooner for them.
                "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
            },
        )
        self._words_VC = embeddings(trained.weights)
        self._streams = cores
        self._model = model
        self._request = threading.local()
        self.computed_tokens = 0
        self._counting = threading.Lock()
        # First come, first served: a second call's batches begin where the first has no more to begin.
        self._threads = Background("openvino", threads=cores)

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """As `Engine.probabilities`."""
        result_BK = np.empty((len(rows), len(self._config.labels)), np.float32)
        plan = plan_batches([len(row) for row in rows], max_tokens=self._budget(rows))
        batches = [(texts, self._threads.submit(self._infer, [rows[text] for text in texts])) for texts in plan]
        wait([answer for _, answer in batches])  # all, so that none is still at work when one is raised for another
        for texts, answer in batches:
            result_BK[texts] = answer.result()
        return result_BK

    def _infer(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """One batch, in a thread that has a request of its own."""
        if not hasattr(self._request, "mine"):
            self._request.mine = self._model.create_infer_request()
        batch = pack(rows, round_to=ROUND_TOKENS, fill_id=self._config.pad_token_id)
        self._request.mine.infer(feed(batch, self._config, self._words_VC))
        with self._counting:
            self.computed_tokens += len(batch.ids_T)
        found_BK: npt.NDArray[np.float32] = self._request.mine.get_output_tensor(0).data[: len(rows)].copy()
        return found_BK

    def recover(self) -> None:
        """As `Engine.recover`; there is nothing to give back."""

    def _budget(self, rows: Sequence[Sequence[int]]) -> int:
        """Tokens a batch, such that the streams finish about together."""
        streams, total = self._streams, sum(map(len, rows))
        rounds = math.ceil(total / (BATCH_TOKENS * streams))
        return max(1, math.ceil(total / max(1, rounds * streams) * 1.05))
