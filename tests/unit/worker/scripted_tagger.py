"""A tagger for tests without a model."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emotag_model.long_texts.modes import LongTexts
from emotag_model.reasons.spans import Spans
from emotag_model.scope.rules import TextScope
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import TokenIds

POISON = "poison"


class OneLabel:
    """A tagger that finds joy in every text but the poisonous one, on which it fails."""

    version, engine, precision = "sha256:0", "openvino", "fp32"
    labels = ("joy",)
    thresholds = Thresholds.fixed(labels, 0.5)
    long_texts: LongTexts = "windows"
    concurrency = 1
    computed_tokens = 0

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        return [TokenIds((len(text),), truncated=False) for text in texts]

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        return [TextScope("ok", "en") for _ in texts]

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        found = np.ones((len(texts), 1), dtype=np.float32)
        return found, {row: RuntimeError() for row, text in enumerate(texts) if text.ids == (len(POISON),)}

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        found, errors = self.probabilities_or_errors(texts)
        return found, np.zeros((len(texts), 1, 3, 3), np.uint16), errors

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        joined_K: npt.NDArray[np.float32] = probabilities_WK.max(axis=0)
        return joined_K

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        return [()] * len(probabilities_BK)


class TwoLabels:
    """A tagger whose probabilities are the ids of a text in hundredths; it fails on texts that begin with 13.

    The first character of each text is the reason for joy, and the first three that for anger.
    """

    version, engine, precision = "sha256:0", "openvino", "fp32"
    labels = ("joy", "anger")
    thresholds = Thresholds.fixed(labels, 0.5)
    long_texts: LongTexts = "windows"
    concurrency = 1
    computed_tokens = 0

    def __init__(self) -> None:
        self.calls = 0

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        raise AssertionError("tokens are given")

    def find_scopes(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TextScope]:
        raise AssertionError("scopes are given")

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        self.calls += 1
        found = np.array([text.ids for text in texts], np.float32) / np.float32(100)
        return found, {row: RuntimeError("broken") for row, text in enumerate(texts) if text.ids[0] == 13}

    def explain_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], Spans, dict[int, Exception]]:
        found, errors = self.probabilities_or_errors(texts)
        spans = np.zeros((len(texts), 2, 3, 3), np.uint16)
        spans[:, 0, 0], spans[:, 1, 0] = (0, 1, 65_535), (0, 3, 13_107)
        return found, spans, errors

    def join_windows(self, probabilities_WK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        joined_K: npt.NDArray[np.float32] = probabilities_WK.max(axis=0)
        return joined_K

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        rows = probabilities_BK.tolist()
        return [tuple((label, p) for label, p in zip(self.labels, row, strict=True) if p >= 0.5) for row in rows]
