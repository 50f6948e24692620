"""From the maxima of an engine to the characters of a text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emotag_model.long_texts.windows import find_deciding_windows
from emotag_model.tokens import TokenIds, Tokens, normalize, original_positions

from .spans import Maxima, ReasonSpan, Spans, Weigher, read_reasons

if TYPE_CHECKING:  # cache keys contain a hash of the modules that this one imports, and loading decides no entry
    from emotag_model.artifact import Artifact

Reasons = Mapping[str, tuple[ReasonSpan, ...]]
"""The spans of a text that carry the score of each label, the largest share first."""


class Explainer:
    """Finds the reasons of a model's labels."""

    def __init__(self, trained: "Artifact", tokens: Tokens) -> None:
        self._labels = trained.config.labels
        self._channels = trained.config.channels
        self._tokens = tokens
        self._weigher = Weigher(trained.weights["classifier.weight"], kernel=trained.config.kernel_size)

    def allocate(self, rows: int) -> Maxima:
        """Return maxima of zeros: a row that nobody fills in has no spans."""
        return Maxima.allocate(rows, self._channels)

    def locate(self, texts: Sequence[str], tokens: Sequence[TokenIds]) -> list[TokenIds]:
        """Return the tokens of each text with their offsets: places in the normalized text, or in its window."""
        whole: list[str] = []
        parts: list[str] = []
        for text, ids in zip(texts, tokens, strict=True):
            normalized = normalize(text)
            if ids.windows:
                parts += [normalized[window.start : window.end] for window in ids.windows]
            else:
                whole.append(normalized)
        offsets, offsets_of_parts = iter(self._tokens.locate(whole)), iter(self._tokens.locate(parts, are_parts=True))
        located = []
        for ids in tokens:
            if not ids.windows:
                located.append(ids._replace(offsets=next(offsets)))
                continue
            rows = [window.tokens._replace(offsets=next(offsets_of_parts)) for window in ids.windows]
            windows = (window._replace(tokens=row) for window, row in zip(ids.windows, rows, strict=True))
            located.append(ids._replace(windows=tuple(windows)))
        return located

    def find_spans(self, maxima: Maxima, rows: Sequence[TokenIds]) -> Spans:
        """Return the spans of each row and label; see `Weigher`."""
        return self._weigher(maxima, [row.offsets for row in rows if row.offsets is not None])

    def read(
        self, text: str, tokens: TokenIds, probabilities_WK: npt.NDArray[np.float32], spans_WKS3: Spans
    ) -> Reasons:
        """Return the reasons of each label of a text, from the window that the label's probability comes from."""
        positions = original_positions(text)
        starts = [window.start for window in tokens.windows] or [0]
        windows = find_deciding_windows(probabilities_WK, self._labels).tolist()
        return {
            label: read_reasons(spans_WKS3[window, k].tolist(), positions, start=starts[window])
            for k, (label, window) in enumerate(zip(self._labels, windows, strict=True))
        }
