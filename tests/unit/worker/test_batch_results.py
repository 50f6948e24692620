"""Probabilities to results and dead letters."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds, Window
from emotag_schemas import DeadLetterHeaders
from emotag_worker.batch import Batch, BatchOutput, StageTimes
from emotag_worker.batch_results import compute_entries, encode_batch
from emotag_worker.cache.entry import NO_PROBABILITIES, Codec, Entry, WindowEntry, quantize
from emotag_worker.errors import BadRecord, DeviceRejected, NoText, Tombstone
from emotag_worker.observability.traces import NoTraces
from emotag_worker.settings.stream import OutOfScopeAction, OutputSettings
from emotag_worker.wire.decode import Decoded
from emotag_worker.wire.encode import RecordEncoder, TombstoneAction
from emotag_worker.wire.record import Outgoing, Record
from tests.unit.worker.kafka.scripted import NoGroup

from .scripted import TwoLabels

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JOY, ANGER, BOTH = [0.9, 0.1], [0.2, 0.8], [0.7, 0.6]


def entry(probabilities: Sequence[float], *, truncated: bool = False, tokens: int = 3, unknown: int = 0) -> Entry:
    return Entry(np.array(probabilities, np.float32), truncated, tokens, unknown)


def batch(texts: Sequence[str | BadRecord], known: Mapping[str, Entry] | None = None) -> Batch:
    """A batch whose cache keys are its texts."""
    return Batch(
        [Record("texts", 0, offset, b"key", b"{}") for offset in range(len(texts))],
        [text if isinstance(text, BadRecord) else Decoded(text, f"id-{n}") for n, text in enumerate(texts)],
        ["" if isinstance(text, BadRecord) else text for text in texts],
        known or {},
        new=0,
        windows=0,
        tokens=0,
        computing=Future(),
        polled=0.0,
        polled_at=0.0,
        times=StageTimes(0.0),
        member=NoGroup(),
        trace=NoTraces(),
    )


def records_of(output: BatchOutput) -> list[Outgoing]:
    return [answer.outgoing for answer in output.answers if answer.outgoing is not None]


def encode(
    batch: Batch,
    computed: Mapping[str, Entry | BadRecord],
    *,
    all_scores: bool = False,
    out_of_scope: OutOfScopeAction = "tag",
) -> BatchOutput:
    encoder = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0")
    settings = OutputSettings(all_scores=all_scores, out_of_scope=out_of_scope)
    return encode_batch(batch, computed, settings, tagger=TwoLabels(), encoder=encoder, now=NOW)


def labels_of(output: BatchOutput) -> list[list[str] | None]:
    """The labels of each result; None for a dead letter."""
    return [
        None
        if record.topic == "dead"
        else [emotion["label"] for emotion in json.loads(record.value or b"")["emotions"]]
        for record in records_of(output)
    ]


def test_new_texts_become_entries_in_order() -> None:
    tokens = {"a": TokenIds((90, 10), truncated=True, unknown=1), "b": TokenIds((20, 80), truncated=False)}
    scopes = [TextScope("other_language", "ko"), TextScope("ok", None)]
    entries = compute_entries(TwoLabels(), tokens, scopes, OutputSettings())
    first, second = entries["a"], entries["b"]
    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    assert (True, 2, 1) == (first.truncated, first.tokens, first.unknown)
    assert (False, 2, 0) == (second.truncated, second.tokens, second.unknown)
    assert scopes == [(first.scope, first.language), (second.scope, second.language)]
    expected_BK = quantize(np.array([JOY, ANGER], np.float32))
    np.testing.assert_array_equal(expected_BK, [first.probabilities_K, second.probabilities_K])


def test_a_text_that_the_device_rejects_leaves_the_others_their_entries() -> None:
    tokens = {"a": TokenIds((90, 10), False), "b": TokenIds((13, 0), False), "c": TokenIds((20, 80), False)}
    entries = compute_entries(TwoLabels(), tokens, [TextScope("ok", "en")] * 3, OutputSettings())
    assert [Entry, DeviceRejected, Entry] == [type(entries[key]) for key in "abc"]


def test_nothing_new_costs_the_device_nothing() -> None:
    tagger = TwoLabels()
    assert {} == compute_entries(tagger, {}, [], OutputSettings())
    assert 0 == tagger.calls


def test_records_are_answered_in_their_order_wherever_the_answer_came_from() -> None:
    known = {"from the cache": entry(ANGER)}
    computed: dict[str, Entry | BadRecord] = {"new": entry(JOY), "worse": DeviceRejected(RuntimeError())}
    bad = NoText("text", "missing")
    output = encode(batch(["new", bad, "from the cache", "new", "worse", "from the cache"], known), computed)
    assert [["joy"], None, ["anger"], ["joy"], None, ["anger"]] == labels_of(output)
    assert {"computed": 1, "repeat": 1, "cache": 2} == output.sources
    assert {"NoText": 1, "DeviceRejected": 1} == output.dead_letters
    results = [json.loads(record.value or b"") for record in records_of(output) if record.topic == "emotions"]
    assert [False, True, False, True] == [result["cached"] for result in results]


@pytest.mark.parametrize(
    ("action", "key", "topics", "tombstones", "dead"),
    [
        ("forward", b"k", ["emotions", "emotions"], {"forwarded": 1}, {}),
        ("forward", None, ["dead", "emotions"], {}, {"Tombstone": 1}),
        ("skip", None, ["emotions"], {"skipped": 1}, {}),
        ("dead_letter", b"k", ["dead", "emotions"], {}, {"Tombstone": 1}),
    ],
)
def test_a_tombstone_becomes_what_the_settings_say(
    action: TombstoneAction, key: bytes | None, topics: list[str], tombstones: dict[str, int], dead: dict[str, int]
) -> None:
    """Forwarded, it has the key, the timestamp and the producer's headers, and no header of an event."""
    given = batch([Tombstone(), "new"])
    headers = [("ce_id", b"1"), ("a", b"2")]
    given.records = [Record("texts", 0, 0, key, None, headers, 7), *given.records[1:]]
    encoder = RecordEncoder({"name": "one"}, "emotions", "dead", "group", "0", tombstones=action)
    output = encode_batch(given, {"new": entry(JOY)}, OutputSettings(), tagger=TwoLabels(), encoder=encoder, now=NOW)
    written = [answer.outgoing for answer in output.answers if answer.outgoing]
    assert topics == [record.topic for record in written]
    assert (tombstones, dead) == (output.tombstones, output.dead_letters)
    if tombstones.get("forwarded"):
        assert Outgoing("emotions", b"k", None, [("a", b"2")], 7) == written[0]


def test_a_repeat_of_a_rejected_text_is_rejected_too() -> None:
    output = encode(batch(["worse", "worse"]), {"worse": DeviceRejected(RuntimeError())})
    assert ({"DeviceRejected": 2}, {}, None) == (output.dead_letters, output.sources, output.tagged)


@pytest.mark.parametrize(("all_scores", "expected"), [(True, {"joy": 0.7, "anger": 0.6}), (False, None)])
def test_all_scores_are_written_if_the_settings_say_so(all_scores: bool, expected: dict[str, float] | None) -> None:
    (record,) = records_of(encode(batch(["a"]), {"a": entry(BOTH)}, all_scores=all_scores))
    assert expected == json.loads(record.value or b"")["scores"]


def test_every_result_on_a_truncated_text_counts() -> None:
    output = encode(batch(["long", "short", "long"]), {"long": entry(JOY, truncated=True), "short": entry(JOY)})
    assert 2 == output.truncated


def test_the_statistics_have_a_row_for_each_distinct_text_and_an_index_for_each_result() -> None:
    known = {"known": entry(ANGER, tokens=7, unknown=2)}
    texts: list[str | BadRecord] = ["new", "known", NoText("text", "empty"), "new"]
    tagged = encode(batch(texts, known), {"new": entry(JOY, tokens=4)}).tagged
    assert tagged is not None
    np.testing.assert_array_equal(np.array([ANGER, JOY], np.float32), tagged.probabilities_BK)
    np.testing.assert_array_equal([[False, True], [True, False]], tagged.given_BK)
    assert [7, 4] == tagged.tokens_B.tolist()
    assert [2, 0] == tagged.unknown_B.tolist()
    assert [1, 0, 1] == tagged.rows_N.tolist()


KOREAN = msgspec.structs.replace(entry(JOY), scope="other_language", language="ko")


@pytest.mark.parametrize("cached", [True, False], ids=["from the cache", "computed"])
@pytest.mark.parametrize(("action", "labels", "sentiment"), [("tag", ["joy"], "positive"), ("empty", [], "neutral")])
def test_a_text_out_of_scope_is_tagged_or_has_no_emotions(
    action: OutOfScopeAction, labels: list[str], sentiment: str, *, cached: bool
) -> None:
    """Always with its scope and its language. Texts in scope keep their emotions."""
    known = {"a": KOREAN} if cached else {}
    computed = {"b": entry(JOY)} | ({} if cached else {"a": KOREAN})
    output = encode(batch(["a", "b"], known), computed, out_of_scope=action, all_scores=True)
    assert [labels, ["joy"]] == labels_of(output)
    value, other = [json.loads(record.value or b"") for record in records_of(output)]
    assert ("other_language", "ko", sentiment) == (value["scope"], value["language"], value["sentiment"])
    assert ("ok", None) == (other["scope"], other["language"])
    assert {"joy": 0.9, "anger": 0.1} == value["scores"]  # requested by name, so they stay
    assert output.tagged is not None
    assert len(labels) + 1 == output.tagged.given_BK.sum()


def test_a_text_out_of_scope_becomes_a_dead_letter_if_the_settings_say_so() -> None:
    """With the reason, and without the text. It is no result in any figure, and counts by its scope."""
    output = encode(batch(["a", "b", "a"], {"a": KOREAN}), {"b": entry(JOY)}, out_of_scope="dead_letter")
    assert [None, ["joy"], None] == labels_of(output)
    assert ({"OutOfScope": 2}, {"computed": 1}) == (output.dead_letters, output.sources)
    why = DeadLetterHeaders.from_headers(records_of(output)[0].headers)
    assert ("OutOfScope", "tag") == (why.exception_class, why.stage)
    assert "scope other_language, language ko" in why.exception_message
    assert {("other_language", "ko"): 2, ("ok", None): 1} == output.scopes
    assert output.tagged is not None
    assert 1 == len(output.tagged.rows_N)


def test_a_text_that_the_device_rejects_has_no_scope() -> None:
    output = encode(batch(["worse", NoText("text", "empty")]), {"worse": DeviceRejected(RuntimeError())})
    assert {} == output.scopes


def test_a_result_continues_the_trace_of_its_record_and_a_dead_letter_keeps_its_headers() -> None:
    class Renamed(NoTraces):
        def continue_trace(self, record: Record) -> Record:
            return msgspec.structs.replace(record, headers=(("traceparent", b"new"),))

    given = batch(["a", NoText("text", "missing")])
    given.records = [msgspec.structs.replace(record, headers=(("traceparent", b"old"),)) for record in given.records]
    given.trace = Renamed()
    result, dead_letter = records_of(encode(given, {"a": entry(JOY)}))
    assert ("traceparent", b"new") in list(result.headers)
    assert ("traceparent", b"old") in list(dead_letter.headers)


def test_a_long_text_has_one_result_with_its_parts_also_from_the_cache() -> None:
    """Texts with one cache key can differ in blanks: spans are those of each record's own text."""
    windows = (Window(0, 3, TokenIds((90, 10), False)), Window(4, 7, TokenIds((20, 80), False)))
    tokens = {"key": TokenIds((90, 10), truncated=False, unknown=1, windows=windows)}
    computed = compute_entries(TwoLabels(), tokens, [TextScope("ok", "en")], OutputSettings())
    entry = computed["key"]
    assert isinstance(entry, Entry)
    assert (4, 1) == (entry.tokens, entry.unknown)
    two = batch(["one two", " one\t  two"])
    two.keys = ["key", "key"]
    (cached,) = Codec(2).decode(Codec(2).encode([entry]))
    results = [[json.loads(record.value or b"") for record in records_of(encode(two, computed))]]
    two.known = {"key": cached}
    results.append([json.loads(record.value or b"") for record in records_of(encode(two, {}))])
    joy, anger = ([{"label": label, "score": score}] for label, score in (("joy", 0.9), ("anger", 0.8)))
    for first, second in results:
        assert joy + anger == first["emotions"] == second["emotions"]
        assert [(0, 3, joy), (4, 7, anger)] == [tuple(part.values()) for part in first["parts"]]
        assert [(1, 4, joy), (7, 10, anger)] == [tuple(part.values()) for part in second["parts"]]
    computed_results, cached_results = (list(map(without_source, each)) for each in results)
    assert computed_results == cached_results


def without_source(result: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in result.items() if name not in ("cached", "source")}


def test_a_text_of_which_one_window_fails_is_dead_lettered_alone() -> None:
    windows = (Window(0, 3, TokenIds((90, 10), False)), Window(4, 7, TokenIds((13, 0), False)))
    tokens = {
        "a": TokenIds((90, 10), False),
        "b": TokenIds((90, 10), False, windows=windows),
        "c": TokenIds((20, 80), False),
    }
    entries = compute_entries(TwoLabels(), tokens, [TextScope("ok", "en")] * 3, OutputSettings())
    assert [Entry, DeviceRejected, Entry] == [type(entries[key]) for key in "abc"]
    last = entries["c"]
    assert isinstance(last, Entry)
    np.testing.assert_array_equal(quantize(np.array(ANGER, np.float32)), last.probabilities_K)


def test_a_text_out_of_scope_has_no_emotions_in_its_parts_either() -> None:
    parts = tuple(WindowEntry(4 * n, 4 * n + 3, np.array(JOY, np.float32)) for n in range(2))
    entry = Entry(NO_PROBABILITIES, False, scope="other_language", language="de", windows=parts)
    (record,) = records_of(encode(batch(["one two"], {"one two": entry}), {}, out_of_scope="empty"))
    result = json.loads(record.value or b"")
    assert [] == result["emotions"]
    assert [[], []] == [part["emotions"] for part in result["parts"]]
