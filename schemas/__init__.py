"""What crosses the wire: the messages of emotag's topics, its labels and their groups. Needs pydantic alone."""

from .dead_letter import DeadLetterHeaders
from .labels import EKMAN, LABELS, SENTIMENT
from .message import TextMessage
from .result import Emotion, EmotionResult

__all__ = ["EKMAN", "LABELS", "SENTIMENT", "DeadLetterHeaders", "Emotion", "EmotionResult", "TextMessage"]
