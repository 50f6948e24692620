"""Places in the text as its producer wrote it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from emotag_model.reasons.spans import LEVELS, ReasonSpan
from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds, Window
from emotag_worker.batch_results import compute_entries, encode_batch
from emotag_worker.cache.entry import NO_PROBABILITIES, Codec, Entry, WindowEntry
from emotag_worker.errors import BadRecord
from emotag_worker.locating import drop_misplaced, locate_result
from emotag_worker.settings.stream import OutputSettings
from emotag_worker.wire.decode import Decoded
from emotag_worker.wire.encode import RecordEncoder, ResultPart, TextResult

from .scripted import TwoLabels
from .test_batch_results import BOTH, JOY, NOW, batch, records_of

SETTINGS = OutputSettings(reasons=True)


def compute(tokens: TokenIds) -> Entry:
    """Return the entry of a text."""
    entry = compute_entries(TwoLabels(), {"a b": tokens}, [TextScope("ok", "en")], SETTINGS)["a b"]
    assert isinstance(entry, Entry)
    return entry


def encode_without_reasons(
    text: str, entries: Mapping[str, Entry | BadRecord], known: Mapping[str, Entry]
) -> list[dict[str, Any]]:
    """Return the emotions of the result of a text with the key `a b`."""
    given = dataclasses.replace(batch(["a b"], known), texts=[Decoded(text, "m")])
    encoder = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0")
    output = encode_batch(given, entries, OutputSettings(), tagger=TwoLabels(), encoder=encoder, now=NOW)
    (record,) = records_of(output)
    found: list[dict[str, Any]] = json.loads(record.value or b"")["emotions"]
    return found


def explain(
    texts: Sequence[str], entries: Mapping[str, Entry | BadRecord], known: Mapping[str, Entry]
) -> list[list[dict[str, Any]]]:
    """Return the emotions of the result of each text, all of which have the key `a b`."""
    decoded = [Decoded(text, "m") for text in texts]
    given = dataclasses.replace(batch(["a b"] * len(texts), known), texts=decoded)
    encoder = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0")
    output = encode_batch(given, entries, SETTINGS, tagger=TwoLabels(), encoder=encoder, now=NOW)
    return [json.loads(record.value or b"")["emotions"] for record in records_of(output)]


def test_an_emotion_has_its_reasons_as_places_in_the_text_of_its_producer() -> None:
    """Computed and from the cache, and of texts that differ in blanks."""
    entry = compute(TokenIds((90, 60), truncated=False))
    expected = [
        [
            {"label": "joy", "score": 0.9, "reasons": [{"start": start, "end": start + 1, "share": 1.0}]},
            {"label": "anger", "score": 0.6, "reasons": [{"start": start, "end": end, "share": 0.2}]},
        ]
        for start, end in ((0, 3), (2, 7))
    ]
    assert expected == explain(["a b", "  a   b"], {"a b": entry}, {})
    codec = Codec(2, reasons=True)
    (cached,) = codec.decode(codec.encode([entry]))
    assert expected == explain(["a b", "  a   b"], {}, {"a b": cached})


def test_the_reasons_of_a_long_text_come_from_the_window_with_the_highest_score() -> None:
    windows = tuple(
        Window(start, start + 1, TokenIds(ids, truncated=False)) for start, ids in ((0, (90, 20)), (2, (20, 80)))
    )
    entry = compute(TokenIds((90, 20), truncated=False, windows=windows))
    joy, anger = explain([" a b"], {"a b": entry}, {})[0]
    assert [{"start": 1, "end": 2, "share": 1.0}] == joy["reasons"]
    assert [] == anger["reasons"]  # the span would end after the text
    anger = explain([" a bcd"], {"a b": entry}, {})[0][1]
    assert [{"start": 3, "end": 6, "share": 0.2}] == anger["reasons"]


def test_the_reasons_of_neutral_come_from_the_least_neutral_window() -> None:
    """Its score is the lowest one of all windows."""
    spans = np.zeros((2, 3, 3), np.uint16)
    spans[:, 0] = (0, 1, LEVELS)
    windows = tuple(
        WindowEntry(start, start + 1, np.array([score, score], np.float32), spans)
        for start, score in ((0, 0.9), (2, 0.6), (4, 0.8))
    )
    entry = Entry(NO_PROBABILITIES, truncated=False, windows=windows)
    result = TextResult((("joy", 0.9), ("neutral", 0.6)), None, False, False)
    found = locate_result(result, entry, "a b c", ("joy", "neutral"))
    assert ((ReasonSpan(0, 1, 1.0),), (ReasonSpan(2, 3, 1.0),)) == found.reasons


def test_spans_that_somebody_forged_do_not_stop_the_worker() -> None:
    spans = np.full((2, 3, 3), 60_000, np.uint16)
    spans[0, 0] = (1, 60_000, 9)
    forged = Entry(np.array(BOTH, np.float32), truncated=False, spans_KS3=spans)
    assert [[], []] == [emotion["reasons"] for emotion in explain(["a b"], {}, {"a b": forged})[0]]


def test_parts_are_located_without_reasons() -> None:
    result = TextResult((("joy", 0.9),), None, False, False, parts=(ResultPart(0, 1, ()), ResultPart(2, 3, ())))
    found = locate_result(result, Entry(np.array(JOY, np.float32), truncated=False), " a  b", ("joy", "anger"))
    assert found.reasons is None
    assert [(1, 2), (4, 5)] == [(part.start, part.end) for part in found.parts or ()]


@pytest.mark.parametrize(("end", "kept"), [(3, True), (4, False), (60_000, False)])
def test_windows_that_somebody_forged_do_not_stop_the_worker(end: int, kept: bool) -> None:
    """The texts of such entries are computed again. Blanks that the model ignores do not count."""
    parts = tuple(WindowEntry(start, end, np.array(JOY, np.float32)) for start, end in ((0, 1), (2, end)))
    found = drop_misplaced({"a b": Entry(NO_PROBABILITIES, truncated=False, windows=parts)}, {"a b": " a   b "})
    assert kept == ("a b" in found)
    computed: dict[str, Entry | BadRecord] = {} if kept else {"a b": Entry(np.array(JOY, np.float32), truncated=False)}
    assert ["joy"] == [emotion["label"] for emotion in encode_without_reasons(" a   b ", computed, found)]
