"""Hidden states of the frozen layers, computed once: training does not change these layers.

The frozen layers then have no dropout: a text's hidden states are the same in every epoch.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import TRAINING_ROUND_TO, group_by_length, pad_on_device
from emotag_model.tokens import TokenIds
from emotag_training.errors import Interrupted

from .precision import autocast


class Upper(nn.Module):
    """The trainable layers and the head: the model from its *first* layer that is not frozen."""

    def __init__(self, model: DistilBertCNN, first: int) -> None:
        super().__init__()
        self.model = model
        self._first = first

    def forward(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Return logits [B, K] from the hidden states of the frozen layers."""
        for layer in self.model.encoder.transformer.layer[self._first :]:
            hidden_BLC = layer(hidden_BLC, mask_BL[:, None, None, :])
        logits_BK: Tensor = self.model.head(hidden_BLC, mask_BL)
        return logits_BK


class HiddenStates:
    """The frozen layers' output for every text: [tokens, C] in float32, in the machine's memory.

    Each token takes 4 * C bytes: 1.3 GB for GoEmotions' 43,410 training texts and an encoder 384 wide.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: DistilBertCNN,
        texts: Sequence[TokenIds],
        first: int,
        device: torch.device,
        *,
        precision: str = "fp32",
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run the frozen layers, those before layer *first*, on all *texts*, in *precision*.

        Raises:
            Interrupted: *stop*, called before every batch, returned True.
        """
        model.eval()
        self._states: list[Tensor] = [torch.empty(0)] * len(texts)
        for rows in group_by_length(texts):
            if stop():
                raise Interrupted("interrupted before all frozen layers were run")
            ids_BL, mask_BL = pad_on_device([texts[row] for row in rows], model.config, device=device)
            with autocast(precision, device):
                hidden_BLC = model.encoder.embeddings(ids_BL)
                for layer in model.encoder.transformer.layer[:first]:
                    hidden_BLC = layer(hidden_BLC, mask_BL[:, None, None, :])
            for row, hidden_LC, mask_L in zip(rows, hidden_BLC.float(), mask_BL, strict=True):
                self._states[row] = hidden_LC[mask_L].cpu()

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return hidden_BLC and mask_BL of the texts in *rows*, zero at padding."""
        states = [self._states[row] for row in rows]
        lengths_B = torch.tensor([len(state) for state in states])
        width = -(-int(lengths_B.max()) // TRAINING_ROUND_TO) * TRAINING_ROUND_TO
        mask_BL = torch.arange(width) < lengths_B[:, None]
        hidden_BLC = torch.zeros(len(states), width, states[0].shape[1])
        hidden_BLC[mask_BL] = torch.cat(states)
        return hidden_BLC.to(device), mask_BL.to(device)
