"""Batches of similar length, and the tokens that are masked in them."""

import random

import numpy as np
import torch

from emotag_training.loop.batches import draw_batches, mask_tokens


def test_every_text_is_in_one_batch_an_epoch_and_batches_are_of_like_length() -> None:
    lengths = [random.Random(row).randint(3, 100) for row in range(1000)]
    batches = list(draw_batches(lengths, batch_size=32, rng=np.random.default_rng(0)))
    assert list(range(1000)) == sorted(int(row) for batch in batches for row in batch)
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


def test_masked_tokens_are_never_the_first_the_last_or_padding() -> None:
    torch.manual_seed(0)
    ids_BL = torch.tensor([[2, 5, 6, 7, 3, 0, 0], [2, 8, 8, 8, 8, 8, 3]])
    masked_BL = mask_tokens(ids_BL, ids_BL != 0, share=1.0, mask_id=4)
    assert [[2, 4, 4, 4, 3, 0, 0], [2, 4, 4, 4, 4, 4, 3]] == masked_BL.tolist()
