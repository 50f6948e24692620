"""The way of the notebook of burning-phoenix/GoEmotions (https://github.com/burning-phoenix/GoEmotions).

Plain torch in float32, 32 texts at a time in their order, each padded to 128 tokens.
"""

import torch

from . import Competitor, Setting
from .batches import Ids, Logits, Mask, one_by_one, split_into_batches

NAME = "the reference's way: padded to 128 in fp32"
SIZE = 32


def build(setting: Setting) -> Competitor:
    """Return the reference forward, batch by batch."""
    model = setting.exports.build_model()

    @torch.inference_mode()
    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        logits_BK: Logits = model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy()
        return logits_BK

    run = split_into_batches(one_by_one(forward), size=SIZE, sort=False, width=model.config.max_tokens)
    run(setting.tokens[:SIZE])
    note = f"plain torch, {SIZE} texts at a time in their order"
    return Competitor(NAME, "tokens", run, note)  # type: ignore[arg-type]
