"""Texts are split into batches, and results come in the order of the texts."""

import numpy as np

from benchmarks.engine.competitors.batches import Ids, Logits, Mask, one_by_one, split_into_batches
from emotag_model.tokens import TokenIds

TOKENS = [TokenIds((1,) * length, False) for length in (5, 2, 9, 3)]


def test_results_are_in_the_order_of_the_texts_and_batches_are_grouped_by_length() -> None:
    widths = []

    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        widths.append(ids_BL.shape[1])
        lengths_B1: Logits = mask_BL.sum(axis=1, keepdims=True).astype(np.float32)
        return lengths_B1

    probabilities_NK = split_into_batches(one_by_one(forward), size=2)(TOKENS)
    expected_NK = 1 / (1 + np.exp(-np.array([[5.0], [2.0], [9.0], [3.0]])))
    np.testing.assert_allclose(probabilities_NK, expected_NK, rtol=1e-6)
    assert [3, 9] == widths


def test_unsorted_batches_keep_the_order_and_are_padded_to_the_given_width() -> None:
    shapes = []

    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        shapes.append((ids_BL.shape, mask_BL.sum(axis=1).tolist()))
        return np.zeros((len(ids_BL), 1), np.float32)

    split_into_batches(one_by_one(forward), size=3, sort=False, width=16)(TOKENS)
    assert [((3, 16), [5, 2, 9]), ((1, 16), [3])] == shapes
