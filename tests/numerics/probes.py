"""Noise and emoji in GoEmotions' dev texts, by rule, and what a model makes of them.

    python -m tests.numerics.probes MODEL …

prints the figures of each model. The tests have the least of them that the shipped model must reach.
"""

import random
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from emotag_model import EmotionTagger
from emotag_model.spelling.emoji import MEANINGS
from emotag_model.spelling.noise import MASKABLE
from emotag_training.data.table import load_split

DEV = Path(__file__).parents[3] / "shared" / "data" / "goemotions" / "dev.tsv"
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


NOISES = (write_digits, space_letters, repeat_letters, mask_words, drop_apostrophes, swap_letters)


def make_pairs(texts: Sequence[str], noise: Noise) -> list[tuple[str, str]]:
    """Return up to `TEXTS` texts that the noise changes, each with its noisy form."""
    draw = random.Random(1)
    return [(text, noisy) for text in texts if (noisy := noise(text, draw)) != text][:TEXTS]


def share_kept(tagger: EmotionTagger, pairs: Sequence[tuple[str, str]]) -> float:
    """Return the share of noisy texts with the best label of the clean text."""
    clean_BK, noisy_BK = (tagger.probabilities(tagger.tokenize(side)) for side in zip(*pairs, strict=True))
    return float((clean_BK.argmax(axis=1) == noisy_BK.argmax(axis=1)).mean())


FITTING = {
    "😡😡😡": {"anger", "annoyance"},
    "🤬": {"anger", "annoyance"},
    "😂": {"amusement", "joy"},
    "🤣🤣": {"amusement", "joy"},
    "😭": {"sadness", "grief"},
    "💔": {"sadness", "grief"},
    "❤️": {"love"},
    "😍😍": {"love", "admiration"},
    "👍🏽": {"approval"},
    "👏👏👏": {"admiration", "approval"},
    "🙏": {"gratitude", "caring", "optimism"},
    "🤮": {"disgust"},
    "😱": {"fear", "surprise"},
    "🤔": {"curiosity", "confusion"},
    "🎉🎉": {"excitement", "joy"},
    "😳": {"embarrassment", "surprise"},
    "😢": {"sadness"},
    "😊": {"joy"},
    "🙄": {"annoyance"},
    "🤷‍♀️": {"confusion"},
}
ADDED = {"😂": {"amusement"}, "😡": {"anger", "annoyance"}, "😭": {"sadness", "grief"}, "❤️": {"love"}}


def add_emoji(texts: Sequence[str], *, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return each text with an emoji, one of the three clearest of a random label, and these labels."""
    draw = random.Random(seed)
    emoji = {
        label: clear
        for label, written in MEANINGS.items()
        if label != "neutral" and (clear := [sign for sign in written.split() if not sign.isascii()][:3])
    }
    labels = [draw.choice(sorted(emoji)) for _ in texts]
    return [f"{text} {draw.choice(emoji[label])}" for text, label in zip(texts, labels, strict=True)], labels


def share_given(tagger: EmotionTagger, texts: Sequence[str]) -> float:
    """Return the share of the texts that get the label of an emoji that is added to them."""
    changed, labels = add_emoji(texts)
    given_BK = tagger.thresholds.decide(tagger.probabilities(tagger.tokenize(changed)))
    return float(given_BK[range(len(texts)), [tagger.labels.index(label) for label in labels]].mean())


def count_fitting(tagger: EmotionTagger) -> tuple[int, int]:
    """Return the texts of emoji alone whose best label fits, and the sentences with an emoji that have its label."""
    alone = sum(
        bool(tagging.emotions) and tagging.emotions[0].label in fitting
        for tagging, fitting in zip(tagger.tag(list(FITTING)), FITTING.values(), strict=True)
    )
    taggings = tagger.tag([f"I can't believe it {emoji}" for emoji in ADDED])
    added = sum(
        bool({each.label for each in tagging.emotions} & fitting)
        for tagging, fitting in zip(taggings, ADDED.values(), strict=True)
    )
    return alone, added


def main() -> None:
    """Print a line for each model."""
    texts = random.Random(0).sample(list(load_split(DEV).texts), 2_500)
    plain = [text for text in texts if text.isascii()][:1_000]
    for model in sys.argv[1:]:
        tagger = EmotionTagger.load(Path(model))
        alone, added = count_fitting(tagger)
        kept = [f"{noise.__name__} {share_kept(tagger, make_pairs(texts, noise)):.3f}" for noise in NOISES]
        print(  # noqa: T201
            f"{model}: emoji alone {alone} of {len(FITTING)}; added {added} of {len(ADDED)};"
            f" given {share_given(tagger, plain):.3f}; {', '.join(kept)}"
        )


if __name__ == "__main__":
    main()
