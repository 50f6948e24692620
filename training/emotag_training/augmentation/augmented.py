"""The training texts of one epoch, some of them with emoji or misspellings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from emotag_model.spelling.emoji import GENDERS, TONES
from emotag_model.tokens import TokenIds
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.distillation.folds import mark_fold
from emotag_training.recipe import Recipe

from .signs import Floats, Signs
from .typos import misspell

FITTING, ANY = 0.5, 0.85
"""Half of the signs fit the text's labels, a third are any sign that says something, the others say nothing."""

ALONE = 0.1
"""Share of the texts with emoji that become emoji alone."""

REPEATED = (0.6, 0.2, 0.15, 0.05)
"""Probability of one to four copies of a sign."""

TONED = frozenset("👍👎👏🙌🙏💪👌👊✊✋🤞🤝🙅🙆🙇🤦🤷🖕🤘🤙🤲💃🕺")
"""Emoji that can have a skin tone."""

TONE = 0.3
GENDERED = frozenset("🤷🤦🙅🙆🙇🤸")
GENDER = 0.4
JOINER = "\u200d"


class Augmentation:
    """A function from an epoch to its training texts: the same ones each time, so that a run can be resumed.

    Args:
        train: the texts, with the targets to train on.
        annotated: the texts with the annotators' labels.
        tokens: tokenizes texts.
        emoji, typos: the share of the texts that get a sign, and the share that are misspelled.
        seed: of everything that is random.
    """

    def __init__(
        self,
        train: TokenizedSplit,
        annotated: Split,
        tokens: Callable[[Sequence[str]], Sequence[TokenIds]],
        *,
        emoji: float,
        typos: float,
        seed: int,
    ) -> None:
        self._train, self._tokens = train, tokens
        self._emoji, self._typos, self._seed = emoji, typos, seed
        self._signs = Signs.of(annotated) if emoji else None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        train: TokenizedSplit,
        annotated: Split,
        tokens: Callable[[Sequence[str]], Sequence[TokenIds]],
    ) -> Self | None:
        """Return what changes the texts of each epoch; None if the recipe asks for no changes."""
        asked, fold = recipe.augmentation, recipe.data.fold
        if not asked.emoji and not asked.typos:
            return None
        # A run that leaves out a fold must not see its labels.
        seen = annotated.take(np.flatnonzero(~mark_fold(annotated, fold))) if fold else annotated
        return cls(train, seen, tokens, emoji=asked.emoji, typos=asked.typos, seed=recipe.run.seed)

    def __call__(self, epoch: int) -> TokenizedSplit:
        """Return the texts of an epoch, in the order of the split."""
        draw = np.random.default_rng((self._seed, epoch, 1))
        split = self._train.split
        targets_NK = split.targets_NK.copy()
        texts: dict[int, str] = {}
        for row in np.flatnonzero(draw.random(len(split)) < self._typos).tolist():
            texts[row] = misspell(split.texts[row], draw)
        if self._signs is not None:
            for row in np.flatnonzero(draw.random(len(split)) < self._emoji).tolist():
                before = texts.get(row, split.texts[row])
                texts[row], targets_NK[row] = add_sign(before, targets_NK[row], self._signs, draw)
        token_ids = list(self._train.token_ids)
        for row, ids in zip(texts, self._tokens(list(texts.values())), strict=True):
            token_ids[row] = ids
        return TokenizedSplit(replace(split, targets_NK=targets_NK), token_ids)


def add_sign(text: str, targets_K: Floats, signs: Signs, draw: np.random.Generator) -> tuple[str, Floats]:
    """Return the text with a sign, or a sign alone, and its targets."""
    kind = draw.random()
    sign = _draw_fitting(targets_K, signs, draw) if kind < FITTING else None
    if sign is None:
        pool = signs.known if kind < ANY or not signs.others else signs.others
        sign = pool[int(draw.integers(len(pool)))]
    written = _write(sign, draw)
    if sign in signs.shares and draw.random() < ALONE:
        return written, signs.shares[sign]
    targets_K = signs.shift(targets_K, sign)
    gap = " " if sign.isascii() or draw.random() < 0.7 else ""
    place = draw.random()
    if place < 0.8:
        return text + gap + written, targets_K
    if place < 0.9:
        return f"{written} {text}", targets_K
    words = text.split(" ")
    at = int(draw.integers(len(words))) + 1
    return " ".join([*words[:at], written, *words[at:]]), targets_K


def _draw_fitting(targets_K: Floats, signs: Signs, draw: np.random.Generator) -> str | None:
    """Return a sign of one of the text's labels; None if the table has none of them."""
    columns = [column for column in signs.drawn if targets_K[column] > 0]
    if not columns:
        return None
    weights = targets_K[columns] / targets_K[columns].sum()
    of_label = signs.drawn[int(draw.choice(columns, p=weights.astype(np.float64) / weights.sum(dtype=np.float64)))]
    ranks = 1 / np.sqrt(np.arange(1, len(of_label) + 1))
    return of_label[int(draw.choice(len(of_label), p=ranks / ranks.sum()))]


def _write(sign: str, draw: np.random.Generator) -> str:
    """Return one or several copies of a sign, some with a skin tone or a gender."""
    if sign in TONED and draw.random() < TONE:
        sign += TONES[draw.integers(len(TONES))]
    if sign[0] in GENDERED and draw.random() < GENDER:
        sign += JOINER + GENDERS[draw.integers(2)]
    copies = int(draw.choice(len(REPEATED), p=REPEATED)) + 1
    return (" " if sign.isascii() else "").join([sign] * copies)
