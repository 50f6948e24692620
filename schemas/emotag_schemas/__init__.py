"""The messages of emotag's topics, and the emotion labels with their groups. Requires pydantic only."""

from .dead_letter import DeadLetterHeaders, StubHeaders
from .labels import EKMAN, LABELS, SENTIMENT
from .message import TextMessage
from .result import Emotion, EmotionResult, ModelVersion, Part, Reason, SourceRecord

__all__ = [
    "EKMAN",
    "LABELS",
    "SENTIMENT",
    "DeadLetterHeaders",
    "Emotion",
    "EmotionResult",
    "ModelVersion",
    "Part",
    "Reason",
    "SourceRecord",
    "StubHeaders",
    "TextMessage",
]
