"""Text to probabilities to emotions: the public Python API.

    from emotag_model import EmotionTagger

Legend of the shape suffixes on tensors and arrays. A letter has one meaning in the whole package:

    B  texts in a batch                     L  tokens per text, padding included
    N  texts of a data set                  T  tokens of a packed batch, filling included
    C  width of the encoder                 H  attention heads, D  width of one head (C = H * D)
    M  inner width of a feed-forward layer  F  channels of the convolution
    K  labels (28 in GoEmotions)            W  positions of the convolution's kernel
    S  places of a spaced row               P  places of a spaced row without its first and last gap
    E  bins of a histogram                  V  words of the vocabulary
    I  inputs of a linear layer             O  outputs of a linear layer
"""

import importlib
from typing import TYPE_CHECKING, Any

from .errors import ArtifactError, DeviceFailed, DeviceUnknown, ModelError

if TYPE_CHECKING:
    from .reasons.spans import ReasonSpan
    from .tagger import EmotionTagger
    from .tagging import ScoredLabel, TaggedPart, Tagging

__all__ = [
    "ArtifactError",
    "DeviceFailed",
    "DeviceUnknown",
    "EmotionTagger",
    "ModelError",
    "ReasonSpan",
    "ScoredLabel",
    "TaggedPart",
    "Tagging",
]

_LAZY = {"EmotionTagger": "tagger", "ReasonSpan": "reasons.spans"} | dict.fromkeys(
    ("ScoredLabel", "TaggedPart", "Tagging"), "tagging"
)

if not TYPE_CHECKING:  # so that mypy reports unknown names

    def __getattr__(name: str) -> Any:
        """Import a name on first use (PEP 562): code that needs only an error or a table does not load numpy."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
