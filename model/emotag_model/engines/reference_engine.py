"""The reference forward as an engine: it serves every model that an artifact can hold, slower than other engines."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import compute_probabilities, count_padded_tokens, explain
from emotag_model.reasons.spans import Maxima
from emotag_model.tokens import TokenIds

from .device import count_usable_cores


class ReferenceEngine:
    """A model's weights in `DistilBertCNN`, float32, on one torch device."""

    name = "reference"
    precision = "fp32"
    concurrency = 1

    def __init__(self, trained: Artifact, *, device: str) -> None:
        self.device = device
        self.computed_tokens = 0
        torch.set_num_threads(count_usable_cores())
        self._model = DistilBertCNN.of(trained.config, trained.weights).to(device)

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """See `Engine.probabilities`."""
        return compute_probabilities(self._model, self._count(rows), device=torch.device(self.device))

    def explain(self, rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        """See `Engine.explain`."""
        return explain(self._model, self._count(rows), device=torch.device(self.device))

    def _count(self, rows: Sequence[Sequence[int]]) -> list[TokenIds]:
        """Return the texts, and count their tokens."""
        texts = [TokenIds(tuple(row), truncated=False) for row in rows]
        self.computed_tokens += count_padded_tokens(texts, self._model.config)
        return texts

    def recover(self) -> None:
        """See `Engine.recover`: after out-of-memory, the halves of a batch need the memory of the whole."""
        if self.device != "cpu":
            torch.cuda.empty_cache()
