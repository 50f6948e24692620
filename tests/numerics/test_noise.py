"""Texts with noisy spelling, made by rule from dev, keep the emotion of the clean text."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from emotag_model import EmotionTagger
from emotag_model.spelling import MASKABLE
from emotag_training.data.table import load_split

TEXTS = 300
LEET = str.maketrans("aeiost", "431057")
Draw = random.Random
Noise = Callable[[str, Draw], str]


def write_digits(text: str, draw: Draw) -> str:
    """One word in three with digits in place of letters."""
    return change_words(text, draw, r"[a-z]{4,}", lambda word: word.translate(LEET), share=1 / 3)


def space_letters(text: str, draw: Draw) -> str:
    """One word with blanks between its letters."""
    return change_words(text, draw, r"[A-Za-z]{3,}", " ".join)


def repeat_letters(text: str, draw: Draw) -> str:
    """One word in four with a vowel three to six times."""

    def stretch(word: str) -> str:
        at = draw.choice([at for at, letter in enumerate(word) if letter in "aeiouy"])
        return word[:at] + word[at] * draw.randint(3, 6) + word[at + 1 :]

    return change_words(text, draw, r"[a-z]*[aeiouy][a-z]+", stretch, share=1 / 4)


def mask_words(text: str, draw: Draw) -> str:
    """Every swear word with stars in its middle."""
    swear = re.compile(rf"\b({'|'.join(MASKABLE[:40])})\b", re.IGNORECASE)
    return swear.sub(lambda found: found[0][0] + "*" * (len(found[0]) - 2) + found[0][-1], text)


def drop_apostrophes(text: str, draw: Draw) -> str:
    return text.replace("'", "")


def swap_letters(text: str, draw: Draw) -> str:
    """One word with two neighboring letters swapped, not the first and not the last."""

    def swap(word: str) -> str:
        at = draw.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return change_words(text, draw, r"[A-Za-z]{4,}", swap)


def change_words(text: str, draw: Draw, pattern: str, change: Callable[[str], str], *, share: float = 0.0) -> str:
    """Change at least one of the words that match, and about a *share* of them."""
    words = text.split(" ")
    fitting = [number for number, word in enumerate(words) if re.fullmatch(pattern, word)]
    for number in draw.sample(fitting, min(len(fitting), max(1, round(share * len(fitting))))):
        words[number] = change(words[number])
    return " ".join(words)


@pytest.fixture(scope="module")
def tagger() -> EmotionTagger:
    return EmotionTagger.load()


@pytest.fixture(scope="module")
def texts(goemotions: Path) -> list[str]:
    return random.Random(0).sample(list(load_split(goemotions / "dev.tsv").texts), 2_500)


@pytest.mark.parametrize(
    ("noise", "least"),
    [
        (write_digits, 0.94),
        (space_letters, 0.92),
        (repeat_letters, 0.95),
        (mask_words, 0.95),
        (drop_apostrophes, 0.94),
        (swap_letters, 0.95),
    ],
)
def test_noisy_texts_keep_their_top_label(tagger: EmotionTagger, texts: list[str], noise: Noise, least: float) -> None:
    """Without `spelling.py`, the shares are 0.77, 0.81, 0.80, 0.60, 0.96 and 0.86."""
    draw = random.Random(1)
    pairs = [(text, noisy) for text in texts if (noisy := noise(text, draw)) != text][:TEXTS]
    clean_BK, noisy_BK = (tagger.probabilities(tagger.tokenize(side)) for side in zip(*pairs, strict=True))
    assert len(pairs) >= 75
    assert (clean_BK.argmax(axis=1) == noisy_BK.argmax(axis=1)).mean() >= least
