"""Turn the probabilities of a batch into the records that it writes. Pure: no clock, no client, only the tagger.

tokens → entries (probabilities, as the cache keeps them) → text results (labels and scores) → results and dead letters
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds

from .batch import Batch, BatchOutput, Tagged
from .cache.entry import Entry, quantize
from .errors import BadRecord, DeviceRejected, OutOfScope, Tombstone
from .protocols import Tagger
from .settings.stream import OutputSettings
from .wire.encode import RecordEncoder, TextResult
from .wire.record import Answer, Record


def compute_entries(
    tagger: Tagger, tokens: Mapping[str, TokenIds], scopes: Sequence[TextScope]
) -> dict[str, Entry | BadRecord]:
    """Run the model on new texts; return an entry, or the device's rejection, for each of their cache keys.

    Args:
        tokens, scopes: of each text, the tokens by its cache key.

    Raises:
        DeviceFailed: the device fails on every text.
    """
    if not tokens:
        return {}
    probabilities_BK, errors = tagger.probabilities_or_errors(list(tokens.values()))
    rows_BK = quantize(probabilities_BK)
    return {
        key: DeviceRejected(errors[row])
        if row in errors
        else Entry(row_K, text.truncated, len(text.ids), text.unknown, *scope)
        for row, ((key, text), row_K, scope) in enumerate(zip(tokens.items(), rows_BK, scopes, strict=True))
    }


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
    probabilities_BK = _stack(entries.values())
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
        encoded = encoder.encode_result(batch.trace.continue_trace(record), text, result, now)
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


def _stack(entries: Collection[Entry]) -> npt.NDArray[np.float32]:
    if not entries:
        return np.empty((0, 0), np.float32)
    return np.stack([entry.probabilities_K for entry in entries])


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
            () if hidden else emotions[row], scores[row], entry.truncated, key in known, entry.scope, entry.language
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
