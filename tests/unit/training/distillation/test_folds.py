"""The fold of a text depends on its characters alone."""

import numpy as np

from emotag_training.data.split import Split
from emotag_training.distillation.folds import mark_fold


def test_each_text_is_in_one_fold_and_equal_texts_are_in_the_same_one() -> None:
    texts = (*(f"text {number}" for number in range(50)), "text 7", "a lone surrogate \ud83d")
    split = Split(texts, np.zeros((len(texts), 1), np.float32), ("joy",), "0" * 64)
    folds = np.stack([mark_fold(split, f"{fold}/3") for fold in (1, 2, 3)])
    assert [1] * len(texts) == folds.sum(0).tolist()
    assert folds[:, 7].tolist() == folds[:, 50].tolist()
