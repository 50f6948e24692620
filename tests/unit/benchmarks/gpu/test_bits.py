"""Filling texts bring every batch to the same sizes."""

from benchmarks.gpu.bits import FIXED, Sizes, list_filling


def test_filling_texts_complete_a_batch() -> None:
    for real in (Sizes(2, 1), Sizes(5_003, 256), Sizes(7_900, 500)):
        lengths = list_filling(real, FIXED)
        assert (FIXED.tokens, FIXED.texts) == (real.tokens + sum(lengths), real.texts + len(lengths))
        assert max(lengths) - min(lengths) <= 1
