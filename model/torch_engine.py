"""The model by torch: on a GPU, and on a CPU where that measures faster. The reference for every other engine."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from .artifact import Artifact
from .batching import plan_batches
from .device import DeviceUnknown, usable_cores
from .distilbert_cnn import DistilBertCNN
from .packed import PackedForward
from .packed_attention import varlen_kernel
from .packing import pack

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
IMITATED = "int8"
"""On a CPU, to measure what int8 costs in quality; it is slower than fp32, and no start chooses it."""

CPU_BATCH_TOKENS = 2_048
"""Tokens of one forward on a CPU: above it throughput no longer grows, and working memory does."""

CUDA_BATCH_TOKENS = 65_536
"""The same on a GPU, which needs far more work at a time to be busy."""


WARM_UP_TOKENS = 16
"""Tokens of the texts that a GPU is warmed up with, and of the first batch of them."""

WARM_UP_STEP = 4
"""How many times the last batch the next one has: it ends at `CUDA_BATCH_TOKENS`."""


class TorchEngine:
    """A model's weights on one torch device.

    Raises:
        DeviceUnknown: there is no such precision.
    """

    name = "torch"
    concurrency = 1

    def __init__(self, trained: Artifact, *, device: str, precision: str) -> None:
        if precision not in DTYPES and not (precision == IMITATED and device == "cpu"):
            raise DeviceUnknown(f"torch cannot do {precision} on {device}; it takes {', '.join(DTYPES)}")
        self.device = device
        self.precision = precision
        torch.set_num_threads(usable_cores())
        model = DistilBertCNN.of(trained.config, trained.weights).to(device, DTYPES.get(precision, torch.float32))
        self._labels = len(trained.config.labels)
        self._fill_id = trained.config.pad_token_id
        varlen = None
        if device != "cpu":
            heads = trained.config.n_heads
            varlen = varlen_kernel(device, DTYPES[precision], heads, trained.config.dim // heads)
        self._forward = PackedForward(model, varlen=varlen, int8=precision == IMITATED)
        self._batch_tokens = CPU_BATCH_TOKENS if device == "cpu" else CUDA_BATCH_TOKENS
        # oneDNN compiles a low-precision kernel for every shape it meets; fp32 pays more for the filling.
        self._round_to = 64 if device == "cpu" and precision in ("bf16", "fp16") else 1
        self.computed_tokens = 0
        if device != "cpu":
            self._warm_up()

    @torch.inference_mode()
    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """As `Engine.probabilities`."""
        result_BK = np.empty((len(rows), self._labels), np.float32)
        launched = []
        for texts in plan_batches([len(row) for row in rows], max_tokens=self._batch_tokens):
            batch = pack([rows[text] for text in texts], round_to=self._round_to, fill_id=self._fill_id)
            launched.append((texts, torch.sigmoid(self._forward(batch))))
            self.computed_tokens += len(batch.ids_T)
        # A GPU is waited for only here: while it computes one batch, the next is packed and sent.
        for texts, probabilities_BK in launched:
            result_BK[texts] = probabilities_BK.cpu().numpy()
        return result_BK

    def _warm_up(self) -> None:
        """A batch of every order of size: kernels are loaded and chosen, and the memory that they take is taken."""
        tokens = WARM_UP_TOKENS
        while tokens <= self._batch_tokens:
            try:
                self.probabilities([[self._fill_id] * WARM_UP_TOKENS] * (tokens // WARM_UP_TOKENS))
            except torch.OutOfMemoryError:  # a small GPU, or one that others use: what went before did fit
                self.recover()
                self._batch_tokens = tokens // WARM_UP_STEP
            tokens *= WARM_UP_STEP

    def recover(self) -> None:
        """As `Engine.recover`: after out-of-memory the halves of a batch need what the whole had reserved."""
        if self.device != "cpu":
            torch.cuda.empty_cache()
