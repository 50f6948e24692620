"""From places in the normalized text, which an entry has, to places in the text of a record."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from emotag_model.long_texts.windows import find_deciding_windows
from emotag_model.reasons.spans import ReasonSpan, read_reasons
from emotag_model.tokens import normalize, original_positions

from .cache.entry import Entry
from .wire.encode import TextResult


def drop_misplaced(known: Mapping[str, Entry], texts: Mapping[str, str]) -> dict[str, Entry]:
    """Return the entries without those whose windows end after their text: without a secret, anybody can forge them.

    Args:
        known, texts: by cache key.
    """
    return {
        key: entry
        for key, entry in known.items()
        if not entry.windows or entry.windows[-1].end <= len(normalize(texts[key]))
    }


def locate_result(result: TextResult, entry: Entry, text: str, labels: Sequence[str]) -> TextResult:
    """Return the result with places in the text as its producer wrote it: texts with one key can differ in blanks.

    Args:
        result: its parts have places in the normalized text, and it has no reasons.
        entry: the entry that the result was made from.
        labels: the label of each column of the entry's probabilities.
    """
    positions = original_positions(text)
    parts = result.parts and tuple(
        replace(part, start=positions[part.start], end=positions[part.end]) for part in result.parts
    )
    return replace(result, parts=parts, reasons=_read_reasons(result, entry, positions, labels))


def _read_reasons(
    result: TextResult, entry: Entry, positions: Sequence[int], labels: Sequence[str]
) -> tuple[tuple[ReasonSpan, ...], ...] | None:
    """Return the reasons of each emotion, from the window that its score comes from; None without reasons."""
    blocks = [(window.start, window.spans_KS3) for window in entry.windows] or [(0, entry.spans_KS3)]
    deciding = [0] * len(labels)
    if entry.windows:
        probabilities_WK = np.stack([window.probabilities_K for window in entry.windows])
        deciding = find_deciding_windows(probabilities_WK, labels).tolist()
    found = []
    for label, _ in result.emotions:
        k = labels.index(label)
        start, spans_KS3 = blocks[deciding[k]]
        if spans_KS3 is None:
            return None
        found.append(read_reasons(spans_KS3[k].tolist(), positions, start=start))
    return tuple(found)
