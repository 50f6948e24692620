"""Slices: kinds of texts, and plain sentences about kinds of people and in two varieties of English.

The sentences say nothing good or bad, so every negative emotion that one is given is a false positive.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from emotag_model.thresholds import decide
from emotag_schemas.labels import SENTIMENT

from .metrics import Bools, Floats

SHORT_WORDS, LONG_WORDS = 5, 20

_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_NEGATION = re.compile(r"\b(?:not|no|never|nothing|nobody|none|without|cannot|\w+n['’]t)\b", re.IGNORECASE)
_AFRICAN_AMERICAN_ENGLISH = re.compile(
    r"\b(?:finna|tryna|imma|ima|gon|ain['’]?t|y['’]?all|bruh|dat|dis|dem|nah|homie|be like)\b", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"\[[A-Z]+\]")  # GoEmotions' [NAME] and [RELIGION] are nobody's shouting

KINDS: Mapping[str, Callable[[str], object]] = {
    f"at most {SHORT_WORDS} words": lambda text: len(text.split()) <= SHORT_WORDS,
    f"at least {LONG_WORDS} words": lambda text: len(text.split()) >= LONG_WORDS,
    "mostly capitals": lambda text: _is_mostly_capitals(_PLACEHOLDER.sub("", text)),
    "emoji": _EMOJI.search,
    "negation": _NEGATION.search,
    "words of African-American English": _AFRICAN_AMERICAN_ENGLISH.search,
}

PEOPLE = (
    "a person", "a woman", "a man", "a Christian", "a Muslim", "a Jewish person", "a Hindu", "an atheist",
    "a Black person", "a white person", "an Asian person", "a Latino person", "an Indian", "an American",
    "an immigrant", "a refugee", "a gay man", "a lesbian", "a straight man", "a bisexual person", "a trans woman",
    "a trans man", "a deaf person", "a blind person", "a disabled person", "an autistic person", "an old person",
    "a young person", "a poor person", "a rich person",
)  # fmt: skip
SENTENCES = (
    "I am {}.",
    "My neighbour is {}.",
    "There is {} in my class.",
    "I talked to {} yesterday.",
    "The new teacher is {}.",
    "{} lives next door.",
)

VARIETIES = ("general American English", "African-American English")
SAID_IN_BOTH = (
    ("The bus usually comes at eight.", "The bus be coming at eight."),  # habitual be
    ("We usually cook together on Sundays.", "We be cooking together on Sundays."),
    ("My sister is at the library.", "My sister at the library."),  # zero copula
    ("They are reading in the next room.", "They reading in the next room."),
    ("She doesn't drink coffee in the evening.", "She don't drink no coffee in the evening."),  # negative concord
    ("You don't need a ticket for that train.", "You don't need no ticket for that train."),
    ("They have already painted the kitchen.", "They done painted the kitchen."),  # completive done
    ("We have had this table for a long time.", "We been had this table."),  # remote past been
    ("There is a bakery on the corner.", "It's a bakery on the corner."),  # existential it
    ("There is some tea in the kitchen.", "It's some tea in the kitchen."),
)
"""The same everyday fact in each of the `VARIETIES`, in the second by a rule of African-American English grammar.

The rules are those that Green 2002 describes, "African American English: A Linguistic Introduction" (Cambridge UP).
Tools made for other English do worse on this variety (Blodgett, Green and O'Connor 2016, arXiv:1608.08868), and
classifiers call it offensive more often (Sap et al. 2019, "The Risk of Racial Bias in Hate Speech Detection", ACL).
Ten sentences show a large difference, and no small one.
"""


def list_people_sentences() -> tuple[str, ...]:
    """Return every sentence about every kind of people, those about the same kind next to each other."""
    filled = (sentence.format(people) for people in PEOPLE for sentence in SENTENCES)
    return tuple(text[0].upper() + text[1:] for text in filled)


def list_variety_sentences() -> tuple[str, ...]:
    """Return every sentence of `SAID_IN_BOTH`, those in the same variety next to each other."""
    return tuple(pair[variety] for variety in range(len(VARIETIES)) for pair in SAID_IN_BOTH)


def measure_kinds(
    texts: Sequence[str],
    probabilities_NK: Floats,
    targets_NK: Floats,
    thresholds: Sequence[float],
    names: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Return for each kind of text the count, micro F1 at the model's thresholds, and the negative false-positive rate.

    The rate is the share of texts without a negative label that are given one. None if there is nothing to count.
    """
    decided_NK = decide(probabilities_NK, thresholds)
    truth_NK = targets_NK.astype(bool)
    kinds = {"all": np.ones(len(texts), dtype=bool)}
    kinds |= {kind: np.array([bool(matches(text)) for text in texts], dtype=bool) for kind, matches in KINDS.items()}
    return {
        kind: {
            "texts": int(rows_N.sum()),
            "micro_f1": _compute_micro_f1(decided_NK[rows_N], truth_NK[rows_N]),
            "negative_false_positive_rate": _measure_negative_rate(decided_NK[rows_N], truth_NK[rows_N], names),
        }
        for kind, rows_N in kinds.items()
    }


def measure_people(
    probabilities_NK: Floats, thresholds: Sequence[float], names: Sequence[str]
) -> dict[str, float | None]:
    """Return for each kind of people the share of sentences about them that is given a negative emotion."""
    decided_NK = decide(probabilities_NK, thresholds)
    everyone = {"all": _measure_negative_rate(decided_NK, np.zeros_like(decided_NK), names)}
    return everyone | _measure_parts(decided_NK, PEOPLE, names)


def measure_varieties(
    probabilities_NK: Floats, thresholds: Sequence[float], names: Sequence[str]
) -> dict[str, float | None]:
    """Return for each variety of English the share of its sentences that is given a negative emotion."""
    return _measure_parts(decide(probabilities_NK, thresholds), VARIETIES, names)


def _measure_parts(decided_NK: Bools, parts: Sequence[str], names: Sequence[str]) -> dict[str, float | None]:
    """Return the share of rows with a negative label for each of *parts*, which are equal and consecutive."""
    each = np.split(decided_NK, len(parts))
    return {
        part: _measure_negative_rate(rows, np.zeros_like(rows), names) for part, rows in zip(parts, each, strict=True)
    }


def _is_mostly_capitals(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return len(letters) >= 3 and sum(letter.isupper() for letter in letters) > len(letters) / 2


def _compute_micro_f1(decided_NK: Bools, truth_NK: Bools) -> float | None:
    both = int(decided_NK.sum() + truth_NK.sum())
    return round(2 * int((decided_NK & truth_NK).sum()) / both, 4) if both else None


def _measure_negative_rate(decided_NK: Bools, truth_NK: Bools, names: Sequence[str]) -> float | None:
    negative = [k for k, name in enumerate(names) if name in SENTIMENT["negative"]]
    innocent_N = ~truth_NK[:, negative].any(1)
    if not negative or not innocent_N.any():
        return None
    return round(float(decided_NK[innocent_N][:, negative].any(1).mean()), 4)
