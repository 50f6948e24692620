"""Texts are split into batches, and results come in the order of the texts."""

import numpy as np

from benchmarks.engine.competitors import Setting
from benchmarks.engine.competitors.batches import (
    Forward,
    Ids,
    Logits,
    Mask,
    choose_fastest,
    one_by_one,
    side_by_side,
    split_into_batches,
)
from benchmarks.engine.competitors.exports import Exports
from emotag_model import artifact
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


def test_batches_side_by_side_come_back_in_order() -> None:
    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        lengths_B1: Logits = mask_BL.sum(axis=1, keepdims=True).astype(np.float32)
        return lengths_B1

    run = split_into_batches(side_by_side(forward, at_a_time=2), size=1)
    np.testing.assert_allclose(run(TOKENS), split_into_batches(one_by_one(forward), size=4)(TOKENS))


def test_a_chosen_configuration_is_taken_without_measuring() -> None:
    calls: list[str] = []

    def note(name: str) -> Forward:
        def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
            calls.append(f"{name} {len(ids_BL)}")
            return np.zeros((len(ids_BL), 1), np.float32)

        return forward

    configurations = {name: one_by_one(note(name)) for name in ("slow", "fast")}
    exports = Exports(artifact.load(artifact.DEFAULT))
    setting = Setting(exports, TOKENS, [], 2, [], quick=False, configuration="fast, batches of 8")
    chosen = choose_fastest("Lib", configurations, setting, note="int8")
    assert [] == calls
    assert ("int8, fast, batches of 8", "fast, batches of 8") == (chosen.note, chosen.configuration)
    chosen.run(TOKENS)
    assert ["fast 4"] == calls
