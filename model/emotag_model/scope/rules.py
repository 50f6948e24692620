"""The rules for the scope of a text. Pure: decision 32 has the measurements."""

from collections.abc import Collection
from typing import Literal, NamedTuple

Scope = Literal["ok", "other_language", "unreadable", "too_short"]

LEAST_SCORE = 0.6
"""The detector's least score for a language. On GoEmotions' dev split, 0.2 % of the texts get another language than
English with it; with 0.8, one text in twenty in another language is missed."""

MOST_UNKNOWN = 0.5
"""Texts with a larger share of unknown tokens are unreadable."""


class Detected(NamedTuple):
    """The answer of a detector for one text.

    Attributes:
        language: the code of the most probable language; None if the text has no words, and `und` if detection failed.
        score: its probability; 1 if the list of English words decided.
        is_emoji: the text has emoji or emoticons, and no words.
        has_emoji: the text has emoji and words.
    """

    language: str | None
    score: float
    is_emoji: bool = False
    has_emoji: bool = False

    @property
    def has_words(self) -> bool:
        """True if the text has a letter of any script, and is not made of emoticons alone."""
        return self.language is not None


NO_WORDS, EMOJI_ALONE = Detected(None, 0.0), Detected(None, 0.0, is_emoji=True)
UNDETERMINED = Detected("und", 0.0)
"""The answer for a text with words on which the detector fails. ISO 639 has this code for an unknown language."""


class TextScope(NamedTuple):
    """The scope of one text, and its language, which is None if the detector is not sure."""

    scope: Scope
    language: str | None


def judge(
    detected: Detected, *, unknown: int, pieces: int, languages: Collection[str], is_described: bool = False
) -> TextScope:
    """Return the scope of a text. The first rule that applies decides.

    1. `other_language`: the detector is sure of a language that is not one of the model's.
    2. `unreadable`: most word pieces are unknown to the model, for example in another script.
    3. `too_short`: the text has no words, and is not made of emoji or emoticons alone, for example `10/10`.
    4. `ok`.

    Args:
        unknown, pieces: as in `is_mostly_unknown`.
        languages: the languages that the model was trained on.
        is_described: the text was emoji or emoticons alone, and the model reads words for them.
    """
    language = detected.language if detected.score >= LEAST_SCORE else None
    if language is not None and language not in languages:
        return TextScope("other_language", language)
    if is_mostly_unknown(unknown, pieces):
        return TextScope("unreadable", language)
    is_readable = detected.has_words or is_described or (detected.is_emoji and not unknown)
    return TextScope("ok" if is_readable else "too_short", language)


def is_mostly_unknown(unknown: int, pieces: int) -> bool:
    """Return True if the vocabulary lacks most word pieces of a text.

    Args:
        unknown, pieces: word pieces that the vocabulary does not have, and all; without special tokens.
    """
    return unknown > MOST_UNKNOWN * pieces
