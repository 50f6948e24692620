"""The values of metrics after a batch, and the list of all metrics."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from emotag_model.reference_stats import ReferenceStats
from emotag_model.scope.languages import LANGUAGES
from emotag_model.scope.rules import TextScope
from emotag_model.tokens import TokenIds
from emotag_worker.batch import BatchCounts, Tagged
from emotag_worker.errors import BadRecord
from emotag_worker.observability.instruments import COUNTED_LANGUAGES, Metrics
from emotag_worker.wire.record import Record

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
LABELS = ("joy", "anger")


def reference() -> ReferenceStats:
    scores_NK = np.random.default_rng(0).random((1500, 2), np.float32)
    return ReferenceStats.of(scores_NK, [TokenIds((1,) * 9, False)] * 1500, dict.fromkeys(LABELS, 0.5))


def record(offset: int, timestamp_ms: int | None, traceparent: bytes | None = None) -> Record:
    headers = () if traceparent is None else (("traceparent", traceparent),)
    return Record("texts", 0, offset, None, b"{}", headers, timestamp_ms)


def batch(records: Sequence[Record], rows: Sequence[int] = (), **changes: Any) -> BatchCounts:
    probabilities_BK = np.array([[0.9, 0.005], [0.4, 0.6]], np.float32)
    tagged = Tagged(
        probabilities_BK, probabilities_BK >= 0.5, np.array([9, 20]), np.array([0, 1]), np.array(rows, np.int64)
    )
    counts: dict[str, Any] = {
        "records": records,
        "sources": {"computed": 2, "repeat": max(0, len(rows) - 2)},
        "dead_letters": {},
        "tombstones": {},
        "scopes": {},
        "truncated": 0,
        "texts": 2,
        "tokens": 29,
        "computed_tokens": 32,
        "seconds": 0.2,
        "stages": {"read": 0.0, "device": 0.1, "write": 0.05},
        "device_seconds": 0.1,
        "polled_at": 1000.0,
        "committed_at": 1002.0,
        "tagged": tagged if rows else None,
    }
    return BatchCounts(**(counts | changes))


def loaded(metrics: Metrics) -> Metrics:
    metrics.add_model(LABELS, reference(), lambda: {"resident": 1024})
    metrics.set_cache_up(True)
    return metrics


def families_of(metrics: Metrics, name: str) -> Iterator[Any]:
    """Yield the samples of one metric."""
    for family in metrics.registry.collect():
        if family.name == name:
            yield from family.samples


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_result_counts_once_whatever_its_source() -> None:
    """Two texts, one of them three times: scores, labels, tokens and drift see four results."""
    metrics = loaded(Metrics())
    metrics.count_commit([batch([record(n, 999_500) for n in range(4)], [0, 1, 0, 0])])
    assert 4 == value(metrics, "emotag_records_total")
    assert 3 == value(metrics, "emotag_labels_total", label="joy")
    assert 1 == value(metrics, "emotag_labels_total", label="anger")
    assert 4 == value(metrics, "emotag_score_count", label="joy")
    assert value(metrics, "emotag_score_sum", label="joy") == pytest.approx(3 * 0.9 + 0.4, abs=1e-6)
    assert 3 == value(metrics, "emotag_score_bucket", label="anger", le="0.01")
    assert 3 == value(metrics, "emotag_text_tokens_bucket", le="12.0")
    assert 4 == value(metrics, "emotag_text_tokens_bucket", le="4096.0")  # of a text with 64 windows
    assert 4 == value(metrics, "emotag_drift_window_texts")


def test_texts_count_by_scope_and_by_a_closed_set_of_languages() -> None:
    """No text can add a time series: the rare languages share one."""
    metrics = Metrics()
    series = len(list(families_of(metrics, "emotag_languages"))) + len(list(families_of(metrics, "emotag_scopes")))
    scopes = {TextScope("ok", "en"): 3, TextScope("unreadable", None): 2}
    scopes |= {TextScope("other_language", code): 1 for code in LANGUAGES}
    metrics.count_commit([batch([], scopes=scopes)])
    assert (3, 2, 176) == tuple(
        value(metrics, "emotag_scopes_total", scope=scope) for scope in ("ok", "unreadable", "other_language")
    )
    assert (4, 2, 1, 176 - 21) == tuple(
        value(metrics, "emotag_languages_total", language=code) for code in ("en", "none", "ko", "other")
    )
    after = len(list(families_of(metrics, "emotag_languages"))) + len(list(families_of(metrics, "emotag_scopes")))
    assert series == after


def test_every_language_with_its_own_series_is_one_of_the_detectors() -> None:
    assert {"other", "none"} == set(COUNTED_LANGUAGES) - set(LANGUAGES)


def test_ages_and_latencies_are_by_the_records_timestamps() -> None:
    """A record without a timestamp has no age. A record from the future has age 0."""
    metrics = Metrics()
    metrics.count_commit([batch([record(0, 999_500), record(1, None), record(2, 1_003_000)])])
    assert 2 == value(metrics, "emotag_queue_age_seconds_count")
    assert value(metrics, "emotag_queue_age_seconds_sum") == pytest.approx(0.5)
    assert value(metrics, "emotag_end_to_end_seconds_sum") == pytest.approx(2.5)
    assert 1 == value(metrics, "emotag_end_to_end_seconds_bucket", le="0.01")


def test_stages_padding_and_the_devices_time_are_counted() -> None:
    metrics = Metrics()
    metrics.count_commit([batch([record(0, None)])])
    assert value(metrics, "emotag_stage_seconds_sum", stage="device") == pytest.approx(0.1)
    assert 0 == value(metrics, "emotag_stage_seconds_count", stage="tokenize")
    assert (29, 32) == (value(metrics, "emotag_tokens_total"), value(metrics, "emotag_computed_tokens_total"))
    assert value(metrics, "emotag_device_busy_seconds_total") == pytest.approx(0.1)
    assert 1002 == value(metrics, "emotag_last_commit_timestamp_seconds")


def test_every_reason_counts_from_zero() -> None:
    """Otherwise the first dead letter of a kind would not be a rise."""
    metrics = Metrics()
    for reason in BadRecord.__subclasses__():
        assert 0 == value(metrics, "emotag_dead_letters_total", reason=reason.__name__)


def test_drift_is_exposed_with_enough_results() -> None:
    metrics = loaded(Metrics())
    metrics.count_commit([batch([record(n, None) for n in range(999)], [0] * 999)])
    assert value(metrics, "emotag_drift_score_psi", label="joy") is None
    metrics.count_commit([batch([record(n, None) for n in range(2)], [0, 1])])
    assert (value(metrics, "emotag_drift_score_psi", label="joy") or 0) > 1
    assert (value(metrics, "emotag_drift_length_psi") or 0) < 0.1
    assert value(metrics, "emotag_drift_unknown_ratio", of="window") == pytest.approx(1 / (1000 * 9 + 20))


def test_without_a_reference_there_are_no_drift_metrics() -> None:
    metrics = Metrics()
    metrics.add_model(LABELS, None, dict)
    metrics.count_commit([batch([record(n, None) for n in range(2)], [0, 1])])
    assert b"drift" not in generate_latest(metrics.registry)


def families() -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of every metric of a worker, by the name in queries."""
    found: dict[str, tuple[str, set[str]]] = {}
    metrics = loaded(Metrics())
    metrics.count_commit([batch([record(0, 0)], [0] * 1000)])
    metrics.lag.labels("0")
    metrics.held.labels("TooManyDeadLetters")
    metrics.cache_errors.labels("TimeoutError")
    metrics.info.labels(*["x"] * 7)
    for family in metrics.registry.collect():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name + "_total" * (family.type == "counter")] = (family.type, labels)
    return found


def test_the_operations_page_lists_every_metric_and_no_other() -> None:
    """Including its type and its labels."""
    rows = re.findall(r"^\| `(emotag_\w+)` \| (\w+) \|(.*?)\|", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    ours = {name: what for name, what in families().items() if name.startswith("emotag_")}
    assert ours == listed


def test_names_have_their_unit_at_the_end() -> None:
    """Prometheus' convention: seconds and bytes, `_total` for counters, no milliseconds."""
    for name, (kind, _) in families().items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|millis|minutes|mb|percent)(_|$)", name), name
