"""The original's way: torch in float32, 32 texts at a time in the order they come, each padded to 128 tokens."""

import torch

from . import Rival, Setting
from .batches import Ids, Logits, Mask, in_batches, one_by_one

NAME = "the original's way"
SIZE = 32


def build(setting: Setting) -> Rival:
    """The reference forward, batch by batch."""
    model = setting.exports.model()

    @torch.inference_mode()
    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        logits_BK: Logits = model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy()
        return logits_BK

    run = in_batches(one_by_one(forward), size=SIZE, sort=False, width=model.config.max_tokens)
    run(setting.tokens[:SIZE])
    note = f"torch, float32, padded to {model.config.max_tokens}, {SIZE} at a time as they come"
    return Rival(NAME, "tokens", run, note)  # type: ignore[arg-type]
