"""The model on a CPU by OpenVINO: one stream of work a core, so that no core waits for another."""

import contextlib
import math
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from .artifact import Artifact
from .batching import plan_batches
from .device import DeviceUnknown, processor, usable_cores
from .openvino_graph import build, feed
from .openvino_runtime import ov
from .packing import pack

BATCH_TOKENS = 512
"""Tokens of one stream's batch: what it works on then stays in a core's own cache."""

ROUND_TOKENS = 16
"""A batch is filled up to a multiple of this many tokens: kernels are compiled for a shape, and few shapes are left."""

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""How OpenVINO is to compute what is not said otherwise; in int8 that is all but the trunk's linear layers."""


def is_exact(precision: str) -> bool:
    """Whether the processor has what the precision needs. Says nothing of whether that is fast."""
    if precision == "bf16":
        return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "int8":  # without these, sums of two 8-bit products are cut off at 16 bits
        return any(name in processor() for name in ("vnni", "amx_int8"))
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
            },
        )
        self._streams = cores
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(cores):
            self._idle.put(model.create_infer_request())

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """As `Engine.probabilities`. A second call at the same time begins where the first has no more to begin."""
        result_BK = np.empty((len(rows), len(self._config.labels)), np.float32)
        busy = deque[tuple[Any, list[int]]]()

        def finished() -> Any:
            """The oldest of our requests, its results taken."""
            request, texts = busy[0]
            request.wait()
            result_BK[texts] = request.get_output_tensor(0).data[: len(texts)]
            busy.popleft()
            return request

        try:
            for texts in plan_batches([len(row) for row in rows], max_tokens=self._budget(rows)):
                packed = pack([rows[text] for text in texts], round_to=ROUND_TOKENS, fill_id=self._config.pad_token_id)
                given = feed(packed, self._config)
                try:
                    request = self._idle.get(block=not busy)
                except Empty:
                    request = finished()
                busy.append((request, texts))
                request.start_async(given)
            while busy:
                self._idle.put(finished())
        finally:
            for request, _ in busy:  # after a failure: the others are to be at rest before they are given new work
                with contextlib.suppress(Exception):
                    request.wait()
                self._idle.put(request)
        return result_BK

    def recover(self) -> None:
        """As `Engine.recover`; there is nothing to give back."""

    def _budget(self, rows: Sequence[Sequence[int]]) -> int:
        """Tokens a batch, such that the streams finish about together."""
        streams, total = self._streams, sum(map(len, rows))
        rounds = math.ceil(total / (BATCH_TOKENS * streams))
        return max(1, math.ceil(total / max(1, rounds * streams) * 1.05))
