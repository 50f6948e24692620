"""The result for one text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .reasons.explainer import Reasons
from .scope.rules import Scope


class ScoredLabel(NamedTuple):
    """One label and its probability in [0, 1]."""

    label: str
    score: float


class TaggedPart(NamedTuple):
    """A part of a long text: its characters in the text, and its labels at or over their thresholds, best first."""

    start: int
    end: int
    emotions: tuple[ScoredLabel, ...]


@dataclass(frozen=True, slots=True)
class Tagging:
    """The result for one text.

    Attributes:
        emotions: the labels at or over their own threshold, best first; can be empty.
        scores: the probability of every label, in the model's order.
        truncated: only the beginning of the text was read.
        scope: `ok`, or why the emotions cannot be trusted: `other_language`, `unreadable`, `too_short`.
        language: the code of the text's language (`en`); None if it is not certain.
        parts: the parts of a text that is longer than the model's window; None for every other text.
        reasons: for every label the spans of the text that carry its score, the largest share first; at most three, and
            none if nothing speaks for the label. Empty if the tagger was loaded without reasons.
    """

    emotions: tuple[ScoredLabel, ...]
    scores: Mapping[str, float]
    truncated: bool
    scope: Scope = "ok"
    language: str | None = None
    parts: tuple[TaggedPart, ...] | None = None
    reasons: Reasons = field(default_factory=dict)

    def top(self, k: int) -> tuple[ScoredLabel, ...]:
        """Return the *k* strongest labels, regardless of thresholds.

        Raises:
            ValueError: *k* is less than 1.
        """
        if k < 1:
            raise ValueError(f"top({k}) has no labels; name a number from 1 to {len(self.scores)}")
        best = sorted(self.scores.items(), key=lambda item: -item[1])
        return tuple(ScoredLabel(label, score) for label, score in best[:k])
