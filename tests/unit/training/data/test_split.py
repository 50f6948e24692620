"""Labeled texts, and the same texts as token ids."""

from collections.abc import Sequence

import numpy as np

from emotag_model.tokens import TokenIds
from emotag_training.data.split import Split, TokenizedSplit, describe_splits, find_shared_rows

SPLIT = Split(("a", "b", "a"), np.eye(3, dtype=np.float32), ("x", "y", "z"), "0" * 64)


def test_rows_are_taken_in_the_order_given() -> None:
    taken = SPLIT.take([2, 1])
    assert ("a", "b") == taken.texts
    assert [[0, 0, 1], [0, 1, 0]] == taken.targets_NK.tolist()
    assert (SPLIT.labels, SPLIT.sha256) == (taken.labels, taken.sha256)


def test_shared_rows_are_those_of_equal_texts() -> None:
    assert [0, 2] == find_shared_rows(SPLIT, SPLIT.take([0])).tolist()


def test_a_split_is_tokenized_in_one_call() -> None:
    calls: list[list[str]] = []

    def tokenize(texts: Sequence[str]) -> list[TokenIds]:
        calls.append(list(texts))
        return [TokenIds((1, 2), truncated=False) for _ in texts]

    tokenized = TokenizedSplit.of(SPLIT, tokenize)
    assert [["a", "b", "a"]] == calls
    assert (3, 3) == (len(tokenized), len(tokenized.token_ids))


def test_a_line_names_sizes_and_the_rarest_labels() -> None:
    train = Split(tuple("abcde"), np.tri(5, 4, dtype=np.float32), ("w", "x", "y", "z"), "0" * 64)
    shown = describe_splits(train, SPLIT)
    assert "5 texts to train on, 3 to measure on (dev), 4 labels; the rarest in train: z (2), y (3), x (4)" == shown
