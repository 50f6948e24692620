"""The packed forward in torch: on a GPU, and on a CPU if it measures faster than OpenVINO."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.errors import DeviceUnknown

from .device import count_usable_cores
from .packed import PackedForward
from .packed_attention import find_varlen_kernel
from .packing import ROUND_TO, pack, plan_batches
from .precision import PrecisionName

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
IMITATED = "int8"
"""Imitated on a CPU, to measure the loss of quality; slower than fp32, and no start chooses it."""

CPU_BATCH_TOKENS = 2_048
"""Tokens of one forward on a CPU: above this only working memory grows, not throughput."""

CUDA_BATCH_TOKENS = 65_536
"""Tokens of one forward on a GPU, which needs far more work at a time to be busy."""

WARM_UP_TOKENS = 16
"""Tokens of each text of a GPU's warm-up, and of its first batch."""

WARM_UP_STEP = 4
"""Each batch of the warm-up is this many times as large as the one before, up to `CUDA_BATCH_TOKENS`."""


class TorchEngine:
    """A model's weights on one torch device.

    Raises:
        DeviceUnknown: torch does not compute that precision on that device.
    """

    name = "torch"
    concurrency = 1

    def __init__(self, trained: Artifact, *, device: str, precision: PrecisionName) -> None:
        if precision not in DTYPES and not (precision == IMITATED and device == "cpu"):
            raise DeviceUnknown(
                f"precision {precision!r} is not available on {device} with torch; use auto, {', '.join(DTYPES)}"
            )
        self.device = device
        self.precision: str = precision
        torch.set_num_threads(count_usable_cores())
        model = DistilBertCNN.of(trained.config, trained.weights).to(device, DTYPES.get(precision, torch.float32))
        self._labels = len(trained.config.labels)
        self._fill_id = trained.config.pad_token_id
        varlen = None
        if device != "cpu":
            heads = trained.config.n_heads
            varlen = find_varlen_kernel(device, DTYPES[precision], heads, trained.config.dim // heads)
        self._forward = PackedForward(model, varlen=varlen, precision=precision)
        self._batch_tokens = CPU_BATCH_TOKENS if device == "cpu" else CUDA_BATCH_TOKENS
        # oneDNN compiles a low-precision kernel for every shape, so few shapes are better.
        low_on_cpu = 64 if precision in ("bf16", "fp16") else ROUND_TO
        self._round_to = low_on_cpu if device == "cpu" else 1
        self.computed_tokens = 0
        if device != "cpu":
            self._warm_up()

    @torch.inference_mode()
    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """See `Engine.probabilities`."""
        result_BK = np.empty((len(rows), self._labels), np.float32)
        launched = []
        for texts in plan_batches([len(row) for row in rows], max_tokens=self._batch_tokens):
            batch = pack([rows[text] for text in texts], round_to=self._round_to, fill_id=self._fill_id)
            launched.append((texts, torch.sigmoid(self._forward(batch))))
            self.computed_tokens += len(batch.ids_T)
        # Only here do we wait for a GPU: while it computes one batch, the next is packed and sent.
        for texts, probabilities_BK in launched:
            result_BK[texts] = probabilities_BK[: len(texts)].cpu().numpy()
        return result_BK

    def _warm_up(self) -> None:
        """Compute batches of growing size: this loads and chooses kernels, and reserves their memory."""
        tokens = WARM_UP_TOKENS
        while tokens <= self._batch_tokens:
            try:
                self.probabilities([[self._fill_id] * WARM_UP_TOKENS] * (tokens // WARM_UP_TOKENS))
            except torch.OutOfMemoryError:  # a small or shared GPU: the batch before did fit
                self.recover()
                self._batch_tokens = tokens // WARM_UP_STEP
            tokens *= WARM_UP_STEP

    def recover(self) -> None:
        """See `Engine.recover`: after out-of-memory the halves of a batch need the memory of the whole."""
        if self.device != "cpu":
            torch.cuda.empty_cache()
