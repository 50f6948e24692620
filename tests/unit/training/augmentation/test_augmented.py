"""The texts of an epoch."""

from collections.abc import Sequence

import numpy as np
import pytest

from emotag_model.tokens import TokenIds
from emotag_schemas.labels import LABELS
from emotag_training.augmentation.augmented import Augmentation, add_sign
from emotag_training.augmentation.signs import Signs
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.distillation.folds import mark_fold
from emotag_training.presets import apply_changes
from emotag_training.recipe import Recipe

TEXTS = tuple(f"really number {number}" for number in range(400))


def tokenize(texts: Sequence[str]) -> list[TokenIds]:
    """Each character is a token, so that tests can read the text."""
    return [TokenIds(tuple(map(ord, text)), truncated=False) for text in texts]


def read(split: TokenizedSplit) -> list[str]:
    return ["".join(map(chr, tokens.ids)) for tokens in split.token_ids]


@pytest.fixture(scope="module")
def train() -> TokenizedSplit:
    targets_NK = np.full((len(TEXTS), len(LABELS)), 0.02, np.float32)
    targets_NK[np.arange(len(TEXTS)), np.arange(len(TEXTS)) % len(LABELS)] = 0.9
    return TokenizedSplit.of(Split(TEXTS, targets_NK, LABELS, "sha256"), tokenize)


def augment(train: TokenizedSplit, *, emoji: float = 0.0, typos: float = 0.0, seed: int = 1) -> Augmentation:
    return Augmentation(train, train.split, tokenize, emoji=emoji, typos=typos, seed=seed)


def test_an_epoch_is_the_same_each_time_and_another_one_or_seed_differs(train: TokenizedSplit) -> None:
    first = augment(train, emoji=0.5, typos=0.5)
    again, other = augment(train, emoji=0.5, typos=0.5), augment(train, emoji=0.5, typos=0.5, seed=2)
    assert read(first(3)) == read(again(3))
    assert (first(3).split.targets_NK == again(3).split.targets_NK).all()
    assert read(first(3)) != read(first(4))
    assert read(first(3)) != read(other(3))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_of_the_texts_is_changed(train: TokenizedSplit, share: float) -> None:
    for epoch in augment(train, emoji=share)(1), augment(train, typos=share)(1):
        changed = np.mean([before != after for before, after in zip(TEXTS, read(epoch), strict=True)])
        assert changed == pytest.approx(share, abs=0.07)


def test_misspelled_texts_keep_their_targets(train: TokenizedSplit) -> None:
    assert (augment(train, typos=0.5)(1).split.targets_NK == train.split.targets_NK).all()


def test_the_training_texts_themselves_stay_as_they_are(train: TokenizedSplit) -> None:
    before = train.split.targets_NK.copy()
    augment(train, emoji=0.9)(1)
    assert list(TEXTS) == read(train)
    assert (before == train.split.targets_NK).all()


def test_signs_stand_at_the_end_the_beginning_inside_or_alone(train: TokenizedSplit) -> None:
    signs, draw = Signs.of(train.split), np.random.default_rng(0)
    written = [add_sign("one two three", train.split.targets_NK[0], signs, draw)[0] for _ in range(2_000)]
    ends = sum(text.startswith("one two three") for text in written)
    begins = sum(text.endswith("one two three") for text in written)
    alone = sum("one" not in text for text in written)
    assert ends > 1_000
    assert begins > 50
    assert alone > 50
    assert ends + begins + alone < 2_000
    assert any("🏽" in text for text in written)
    assert any("\u200d♀" in text for text in written)


def test_half_of_the_signs_fit_the_labels_of_the_text(train: TokenizedSplit) -> None:
    signs, draw = Signs.of(train.split), np.random.default_rng(0)
    targets_K = np.zeros(len(LABELS), np.float32)
    love = LABELS.index("love")
    targets_K[love] = 1.0
    fitting = signs.drawn[love]
    written = [add_sign("x", targets_K, signs, draw)[0] for _ in range(1_000)]
    assert sum(any(sign in text for sign in fitting) for text in written) > 450


def test_a_fold_that_is_left_out_does_not_say_what_a_sign_means(train: TokenizedSplit) -> None:
    texts = tuple(f"{number} 🦀" for number in range(100))
    targets_NK = np.tile(np.array([[0.0], [1.0]], np.float32), (50, 1))
    annotated = Split(texts, targets_NK, ("crab",), "sha256")
    recipe = apply_changes(Recipe(), {"augmentation.emoji": 0.5, "data.fold": "1/2"})
    left = annotated.take(np.flatnonzero(~mark_fold(annotated, "1/2")))
    found = Augmentation.of(recipe, TokenizedSplit.of(left, tokenize), annotated, tokenize)
    expected = Augmentation(TokenizedSplit.of(left, tokenize), left, tokenize, emoji=0.5, typos=0.0, seed=42)
    assert found is not None
    assert (found(1).split.targets_NK == expected(1).split.targets_NK).all()
    assert Augmentation.of(Recipe(), train, annotated, tokenize) is None


def test_labels_that_the_table_lacks_get_signs_too() -> None:
    split = Split(("a b", "c 🦀") * 10, np.tile(np.array([[0.0], [1.0]], np.float32), (10, 1)), ("crab",), "sha256")
    epoch = augment(TokenizedSplit.of(split, tokenize), emoji=0.9)(1)
    assert any(before != after for before, after in zip(split.texts, read(epoch), strict=True))
