"""Turn the probabilities of a batch into the records that it writes. Pure: no clock, no client, only the tagger.

tokens → entries (probabilities of each window, as the cache keeps them) → text results (labels and scores) → results
and dead letters
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from emotag_model.reasons.spans import Spans
from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds

from .batch import Batch, BatchOutput, Tagged
from .cache.entry import NO_PROBABILITIES, Entry, WindowEntry, quantize
from .errors import BadRecord, DeviceRejected, OutOfScope, Tombstone
from .locating import locate_result
from .protocols import Tagger
from .settings.stream import OutputSettings
from .wire.encode import RecordEncoder, ResultPart, TextResult
from .wire.record import Answer, Record


def compute_entries(
    tagger: Tagger, tokens: Mapping[str, TokenIds], scopes: Sequence[TextScope], settings: OutputSettings
) -> dict[str, Entry | BadRecord]:
    """Run the model on new texts; return an entry, or the device's rejection, for each of their cache keys.

    Args:
        tokens, scopes: of each text, the tokens by its cache key.
        settings: entries have spans if results have reasons.

    Raises:
        DeviceFailed: the device fails on every text.
    """
    if not tokens:
        return {}
    windows = [row for text in tokens.values() for row in text.rows]
    spans: Sequence[Spans | None] = [None] * len(windows)
    if settings.reasons:
        probabilities_BK, found, errors = tagger.explain_or_errors(windows)
        spans = list(found)
    else:
        probabilities_BK, errors = tagger.probabilities_or_errors(windows)
    rows_BK = quantize(probabilities_BK)
    entries: dict[str, Entry | BadRecord] = {}
    row = 0
    for (key, text), scope in zip(tokens.items(), scopes, strict=True):
        end = row + len(text.rows)
        failed = [errors[each] for each in range(row, end) if each in errors] if errors else ()
        entries[key] = (
            DeviceRejected(failed[0]) if failed else _build_entry(text, rows_BK[row:end], scope, spans[row:end])
        )
        row = end
    return entries


def _build_entry(
    text: TokenIds, rows_WK: npt.NDArray[np.float32], scope: TextScope, spans: Sequence[Spans | None]
) -> Entry:
    if not text.windows:
        return Entry(rows_WK[0], text.truncated, len(text.ids), text.unknown, *scope, spans_KS3=spans[0])
    windows = tuple(
        WindowEntry(window.start, window.end, row_K, spans_KS3)
        for window, row_K, spans_KS3 in zip(text.windows, rows_WK, spans, strict=True)
    )
    return Entry(NO_PROBABILITIES, text.truncated, text.length, text.unknown, *scope, windows)


def encode_batch(
    batch: Batch,
    computed: Mapping[str, Entry | BadRecord],
    settings: OutputSettings,
    *,
    tagger: Tagger,
    encoder: RecordEncoder,
    now: datetime,
) -> BatchOutput:
    """Return a result, a dead letter or a tombstone for every record of the batch that is not skipped, in its order."""
    # 1. Gather the entries of all distinct texts: those of the cache, then the computed ones.
    rejected = {key: error for key, error in computed.items() if isinstance(error, BadRecord)}
    entries = dict(batch.known) | {key: entry for key, entry in computed.items() if isinstance(entry, Entry)}
    rows = {key: row for row, key in enumerate(entries)}
    out_of_scope = {key: entry for key, entry in entries.items() if entry.scope != "ok"}
    if settings.out_of_scope == "dead_letter":
        rejected |= {key: OutOfScope(entry.scope, entry.language) for key, entry in out_of_scope.items()}
    hidden_B = np.array([settings.out_of_scope == "empty" and key in out_of_scope for key in entries], np.bool_)
    probabilities_BK = _stack(entries.values(), tagger)
    # 2. Apply the thresholds, to all distinct texts at once.
    results = _build_text_results(
        entries, probabilities_BK, hidden_B, batch.known, tagger, all_scores=settings.all_scores
    )
    # 3. Encode each record.
    output = BatchOutput()
    rows_N: list[int] = []
    seen: set[str] = set()
    for record, text, key in zip(batch.records, batch.texts, batch.keys, strict=True):
        if isinstance(text, Tombstone) and (outcome := _choose_outcome(record, encoder)):
            forwarded = encoder.encode_tombstone(record) if outcome == "forwarded" else None
            output.answers.append(Answer(record, forwarded))
            continue
        if isinstance(text, BadRecord) or key in rejected:
            refusal = text if isinstance(text, BadRecord) else rejected[key]
            letter = encoder.encode_dead_letter(record, refusal, now)
            output.answers.append(Answer(record, letter, reason=type(refusal).__name__))
            continue
        row = rows[key]
        result = results[row]
        located = (
            locate_result(result, entries[key], text.text, tagger.labels)
            if result.parts or settings.reasons
            else result
        )
        encoded = encoder.encode_result(batch.trace.continue_trace(record), text, located, now)
        source = "cache" if result.cached else "repeat" if key in seen else "computed"
        output.answers.append(Answer(record, encoded, source, truncated=result.truncated))
        rows_N.append(row)
        seen.add(key)
    # 4. Keep the figures for the metrics.
    times = Counter(batch.keys)
    for key, entry in entries.items():
        output.scopes[TextScope(entry.scope, entry.language)] += times[key]
    if rows_N:
        output.tagged = _build_statistics(entries.values(), probabilities_BK, hidden_B, rows_N, tagger)
    return output


def _choose_outcome(record: Record, encoder: RecordEncoder) -> Literal["forwarded", "skipped"] | None:
    """Return what becomes of a tombstone; None for a dead letter. Compacted topics refuse records without a key."""
    match encoder.tombstones:
        case "forward":
            return None if record.key is None else "forwarded"
        case "skip":
            return "skipped"
        case "dead_letter":
            return None
    assert_never(encoder.tombstones)


def _stack(entries: Collection[Entry], tagger: Tagger) -> npt.NDArray[np.float32]:
    """Return the probabilities of each text, those of windows joined."""
    if not entries:
        return np.empty((0, 0), np.float32)
    return np.stack(
        [tagger.join_windows(_stack_windows(entry)) if entry.windows else entry.probabilities_K for entry in entries]
    )


def _stack_windows(entry: Entry) -> npt.NDArray[np.float32]:
    return np.stack([window.probabilities_K for window in entry.windows])


def _build_parts(entry: Entry, tagger: Tagger, *, hidden: bool) -> tuple[ResultPart, ...]:
    """Return the parts of a long text, with spans in the normalized text."""
    emotions = [()] * len(entry.windows) if hidden else tagger.emotions(_stack_windows(entry))
    return tuple(
        ResultPart(window.start, window.end, found) for window, found in zip(entry.windows, emotions, strict=True)
    )


def _build_text_results(
    entries: Mapping[str, Entry],
    probabilities_BK: npt.NDArray[np.float32],
    hidden_B: npt.NDArray[np.bool_],
    known: Mapping[str, Entry],
    tagger: Tagger,
    *,
    all_scores: bool,
) -> list[TextResult]:
    """Return the result of each distinct text, in the order of *entries*; keys in *known* came from the cache.

    Args:
        hidden_B: True for a text whose result has no emotions.
    """
    if not entries:
        return []
    emotions = tagger.emotions(probabilities_BK)
    scores: list[dict[str, float] | None] = [None] * len(entries)
    if all_scores:
        scores = [dict(zip(tagger.labels, row, strict=True)) for row in probabilities_BK.tolist()]
    return [
        TextResult(
            () if hidden else emotions[row],
            scores[row],
            entry.truncated,
            key in known,
            entry.scope,
            entry.language,
            _build_parts(entry, tagger, hidden=hidden) if entry.windows else None,
        )
        for row, ((key, entry), hidden) in enumerate(zip(entries.items(), hidden_B.tolist(), strict=True))
    ]


def _build_statistics(
    entries: Collection[Entry],
    probabilities_BK: npt.NDArray[np.float32],
    hidden_B: npt.NDArray[np.bool_],
    rows_N: Sequence[int],
    tagger: Tagger,
) -> Tagged:
    return Tagged(
        probabilities_BK,
        tagger.thresholds.decide(probabilities_BK) & ~hidden_B[:, None],
        np.fromiter((entry.tokens for entry in entries), np.int64, len(entries)),
        np.fromiter((entry.unknown for entry in entries), np.int64, len(entries)),
        np.array(rows_N, np.int64),
    )
