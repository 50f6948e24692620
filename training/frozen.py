"""What frozen layers make of the training texts, computed once: no step moves them, so no step needs to run them.

The frozen layers' own dropout goes with it: a text's hidden states are the same in every epoch.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.distilbert_cnn import DistilBertCNN
from model.tokens import TokenIds

from .batches import ROUND_TO, by_length, rectangle
from .checkpoint import Interrupted
from .precision import computing_in


class Upper(nn.Module):
    """The layers that learn, and the head: the model's own, from the *first* layer that is not frozen."""

    def __init__(self, model: DistilBertCNN, first: int) -> None:
        super().__init__()
        self.model = model
        self._first = first

    def forward(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Logits [B, K] from what the frozen layers gave."""
        logits_BK: Tensor = self.model.head(self.encoded(hidden_BLC, mask_BL), mask_BL)
        return logits_BK

    def encoded(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Hidden states [B, L, C] as the head takes them."""
        for layer in self.model.trunk.transformer.layer[self._first :]:
            hidden_BLC = layer(hidden_BLC, mask_BL[:, None, None, :])
        return hidden_BLC


class HiddenStates:
    """Of every text, as the frozen layers give them: [tokens, C] in float32, in the machine's memory.

    That is 4 * C bytes a token: 1.3 GB for GoEmotions' 43,410 training texts and a trunk 384 wide.
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
        """Run the layers before the *first* that learns over all *texts*, in *precision*.

        Raises:
            Interrupted: *stop*, asked before every batch, said so.
        """
        model.eval()
        self._states: list[Tensor] = [torch.empty(0)] * len(texts)
        for rows in by_length(texts):
            if stop():
                raise Interrupted("interrupted before all frozen layers were run")
            ids_BL, mask_BL = rectangle([texts[row] for row in rows], model.config, device=device)
            with computing_in(precision, device):
                hidden_BLC = model.trunk.embeddings(ids_BL)
                for layer in model.trunk.transformer.layer[:first]:
                    hidden_BLC = layer(hidden_BLC, mask_BL[:, None, None, :])
            for row, hidden_LC, mask_L in zip(rows, hidden_BLC.float(), mask_BL, strict=True):
                self._states[row] = hidden_LC[mask_L].cpu()

    def batch(self, rows: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """hidden_BLC and mask_BL of some texts, zero where there is padding."""
        states = [self._states[row] for row in rows]
        lengths_B = torch.tensor([len(state) for state in states])
        width = -(-int(lengths_B.max()) // ROUND_TO) * ROUND_TO
        mask_BL = torch.arange(width) < lengths_B[:, None]
        hidden_BLC = torch.zeros(len(states), width, states[0].shape[1])
        hidden_BLC[mask_BL] = torch.cat(states)
        return hidden_BLC.to(device), mask_BL.to(device)
