"""The 28 labels of GoEmotions, in data set order, and the two ways its authors group them.

Source: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; data CC BY 4.0), files
`emotions.txt`, `ekman_mapping.json` and `sentiment_mapping.json`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Sentiment = Literal["positive", "negative", "ambiguous", "neutral"]
Ekman = Literal["anger", "disgust", "fear", "joy", "sadness", "surprise"]

LABELS: Final = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
)

EKMAN: Final[Mapping[Ekman, tuple[str, ...]]] = MappingProxyType(
    {
        "anger": ("anger", "annoyance", "disapproval"),
        "disgust": ("disgust",),
        "fear": ("fear", "nervousness"),
        "joy": (
            "joy",
            "amusement",
            "approval",
            "excitement",
            "gratitude",
            "love",
            "optimism",
            "relief",
            "pride",
            "admiration",
            "desire",
            "caring",
        ),
        "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
        "surprise": ("surprise", "realization", "confusion", "curiosity"),
    }
)
"""Ekman's six basic emotions; `neutral` belongs to none of them."""

SENTIMENT: Final[Mapping[Sentiment, tuple[str, ...]]] = MappingProxyType(
    {
        "positive": EKMAN["joy"],
        "negative": (*EKMAN["anger"], *EKMAN["disgust"], *EKMAN["fear"], *EKMAN["sadness"]),
        "ambiguous": EKMAN["surprise"],
        "neutral": ("neutral",),
    }
)

_EKMAN_OF: Final[Mapping[str, Ekman]] = {label: group for group, labels in EKMAN.items() for label in labels}
_SENTIMENT_OF: Final[Mapping[str, Sentiment]] = {
    label: group for group, labels in SENTIMENT.items() for label in labels
}


def derive_sentiment(emotions: Mapping[str, float]) -> Sentiment:
    """Return the group whose labels have the largest sum of scores.

    Args:
        emotions: label to score, for the labels of a text. A label that GoEmotions does not have belongs to no group.

    Returns:
        `neutral` if no label belongs to a group; of equal groups the first of positive, negative, ambiguous, neutral.
    """
    sums: dict[Sentiment, float] = {}
    for label, score in emotions.items():
        if (group := _SENTIMENT_OF.get(label)) is not None:
            sums[group] = sums.get(group, 0.0) + score
    largest = max(sums.values(), default=0.0)
    return next((group for group in SENTIMENT if sums.get(group) == largest > 0), "neutral")


def derive_ekman(emotions: Mapping[str, float]) -> list[Ekman]:
    """Return the basic emotions among a text's labels, largest sum of scores first; empty for `neutral` alone.

    Args:
        emotions: as for `derive_sentiment`. Of equal groups the one whose label comes first in *emotions*.
    """
    sums: dict[Ekman, float] = {}
    for label, score in emotions.items():
        if (group := _EKMAN_OF.get(label)) is not None:
            sums[group] = sums.get(group, 0.0) + score
    return sorted(sums, key=lambda group: -sums[group])
