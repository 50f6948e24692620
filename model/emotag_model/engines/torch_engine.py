"""The packed forward in torch: on a GPU, and on a CPU if it measures faster than OpenVINO."""

import threading
import traceback
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.errors import DeviceUnknown
from emotag_model.reasons.spans import Maxima

from .device import count_usable_cores
from .packed import PackedForward
from .packed_attention import find_varlen_kernel
from .packing import ROUND_TO, Packed, pack, plan_batches
from .precision import PrecisionName

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
IMITATED = "int8"
"""Imitated on a CPU, to measure the loss of quality; slower than fp32, and no start chooses it."""

CPU_BATCH_TOKENS = 2_048
"""Tokens of one forward on a CPU: above this only working memory grows, not throughput."""

CUDA_BATCH_TOKENS = 65_536
"""Tokens of one forward on a GPU, which needs far more work at a time to be busy."""

SHORTEST, TYPICAL = 2, 16
"""Tokens of the texts of a GPU's warm-up, besides texts that fill the window. An empty text has two special tokens, and
a batch of empty texts needs the most memory: its spaced row is the longest."""

WARM_UP_STEP = 4
"""Each round of the warm-up has at most this many times the tokens of the one before."""


class TorchEngine:
    """A model's weights on one torch device.

    Several threads can call `probabilities`. One thread at a time launches batches, while others wait for results. So a
    GPU always has work, and holds the working memory of one batch only.

    Attributes:
        batch_tokens: tokens of one forward pass; less than `CUDA_BATCH_TOKENS` if the GPU has too little memory.

    Raises:
        DeviceUnknown: torch does not compute that precision on that device.
    """

    name = "torch"

    def __init__(self, trained: Artifact, *, device: str, precision: PrecisionName) -> None:
        if precision not in DTYPES and not (precision == IMITATED and device == "cpu"):
            raise DeviceUnknown(
                f"precision {precision!r} is not available on {device} with torch; use auto, {', '.join(DTYPES)}"
            )
        self.device = device
        self.precision: str = precision
        self.concurrency = 1 if device == "cpu" else 2
        torch.set_num_threads(count_usable_cores())
        model = DistilBertCNN.of(trained.config, trained.weights).to(device, DTYPES.get(precision, torch.float32))
        self._labels, self._channels = len(trained.config.labels), trained.config.channels
        self._fill_id = trained.config.pad_token_id
        self._window = trained.config.max_tokens
        varlen = None
        if device != "cpu":
            heads = trained.config.n_heads
            varlen = find_varlen_kernel(device, DTYPES[precision], heads, trained.config.dim // heads)
        self._forward = PackedForward(model, varlen=varlen, precision=precision)
        self.batch_tokens = CPU_BATCH_TOKENS if device == "cpu" else CUDA_BATCH_TOKENS
        # oneDNN compiles a low-precision kernel for every shape, so few shapes are better.
        low_on_cpu = 64 if precision in ("bf16", "fp16") else ROUND_TO
        self._round_to = low_on_cpu if device == "cpu" else 1
        self.computed_tokens = 0
        self._launching = threading.Lock()
        if device != "cpu":
            self._warm_up()

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """See `Engine.probabilities`."""
        result_BK = np.empty((len(rows), self._labels), np.float32)
        for texts, (probabilities_BK,) in self._compute(rows, self._launch):
            result_BK[texts] = probabilities_BK[: len(texts)].numpy()
        return result_BK

    def explain(self, rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        """See `Engine.explain`."""
        result_BK = np.empty((len(rows), self._labels), np.float32)
        maxima = Maxima.allocate(len(rows), self._channels)
        for texts, (probabilities_BK, values_BF, positions_BF) in self._compute(rows, self._launch_explanation):
            result_BK[texts] = probabilities_BK[: len(texts)].numpy()
            maxima.values_BF[texts], maxima.positions_BF[texts] = values_BF.numpy(), positions_BF.numpy()
        return result_BK, maxima

    @torch.inference_mode()
    def _compute(
        self, rows: Sequence[Sequence[int]], launch: Callable[[Packed], tuple[torch.Tensor, ...]]
    ) -> list[tuple[list[int], tuple[torch.Tensor, ...]]]:
        """Return the indices of the texts of each batch, and what *launch* returned for it."""
        plan = plan_batches([len(row) for row in rows], max_tokens=self.batch_tokens)
        try:
            with self._launching:
                launched = [launch(self._pack([rows[text] for text in texts])) for texts in plan]
                wait = self._mark_end()
        except Exception as error:
            # The error refers to the frames that it left, and these to the tensors of the failed batch.
            traceback.clear_frames(error.__traceback__)
            raise
        wait()
        return list(zip(plan, launched, strict=True))

    def _pack(self, rows: Sequence[Sequence[int]]) -> Packed:
        batch = pack(rows, round_to=self._round_to, fill_id=self._fill_id)
        self.computed_tokens += len(batch.ids_T)
        return batch

    def _launch(self, batch: Packed) -> tuple[torch.Tensor]:
        """Start one batch. Return its probabilities on the host, which a GPU fills in later; more rows may follow."""
        # From a GPU, torch copies to pinned memory, and does not wait.
        return (torch.sigmoid(self._forward(batch)).to("cpu", non_blocking=True),)

    def _launch_explanation(self, batch: Packed) -> tuple[torch.Tensor, ...]:
        """Start one batch as `_launch` does. Return its probabilities, and the values and positions of its maxima."""
        logits_BK, values_BF, positions_BF = self._forward.explain(batch)
        found = (torch.sigmoid(logits_BK), values_BF, positions_BF)
        return tuple(each.to("cpu", non_blocking=True) for each in found)

    def _mark_end(self) -> Callable[[], None]:
        """Return a function that waits for everything launched so far, and for nothing that is launched later."""
        if self.device == "cpu":
            return lambda: None
        wait: Callable[[], None] = torch.cuda.current_stream(self.device).record_event().synchronize
        return wait

    def _warm_up(self) -> None:
        """Compute batches of growing size, up to the largest that is ever planned.

        This loads and chooses kernels, and reserves their memory.
        """
        fitting = TYPICAL
        for tokens in list_warm_up_sizes(self.batch_tokens):
            try:
                for length in (SHORTEST, TYPICAL, self._window):
                    self.probabilities([[self._fill_id] * length] * (tokens // length))
            except torch.OutOfMemoryError:  # a small or shared GPU
                self.recover()
                self.batch_tokens = fitting
                return
            fitting = tokens

    def recover(self) -> None:
        """See `Engine.recover`: after out-of-memory the halves of a batch need the memory of the whole."""
        if self.device != "cpu":
            with self._launching:
                torch.cuda.empty_cache()


def list_warm_up_sizes(most: int) -> list[int]:
    """Return the tokens of each round of the warm-up: the last one has *most*."""
    sizes = [most]
    while sizes[-1] > TYPICAL:
        sizes.append(max(TYPICAL, sizes[-1] // WARM_UP_STEP))
    return sizes[::-1]
