"""What a worker counts, and how Prometheus is shown it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from model.reference import SCORE_EDGES, Reference
from model.tokens import TokenIds
from worker.distribution import Distribution
from worker.errors import BadRecord
from worker.metrics import Metrics, StepCounts, Tagged
from worker.record import Record
from worker.telemetry import Telemetry
from worker.traceparent import TraceParent, traceparent

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
LABELS = ("joy", "anger")


def reference() -> Reference:
    scores_NK = np.random.default_rng(0).random((1500, 2), np.float32)
    return Reference.of(scores_NK, [TokenIds((1,) * 9, False)] * 1500, dict.fromkeys(LABELS, 0.5))


def record(offset: int, timestamp_ms: int | None, traceparent: bytes | None = None) -> Record:
    headers = () if traceparent is None else (("traceparent", traceparent),)
    return Record("texts", 0, offset, None, b"{}", headers, timestamp_ms)


def step(records: Sequence[Record], rows: Sequence[int] = (), **changes: Any) -> StepCounts:
    probabilities_BK = np.array([[0.9, 0.005], [0.4, 0.6]], np.float32)
    tagged = Tagged(
        probabilities_BK, probabilities_BK >= 0.5, np.array([9, 20]), np.array([0, 1]), np.array(rows, np.int64)
    )
    counts: dict[str, Any] = {
        "records": records,
        "origins": {"computed": 2, "repeat": max(0, len(rows) - 2)},
        "dead_letters": {},
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
    return StepCounts(**(counts | changes))


def loaded(metrics: Metrics) -> Metrics:
    metrics.model_loaded(LABELS, reference(), lambda: {"resident": 1024})
    metrics.cache_up(True)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_result_counts_once_however_it_was_found() -> None:
    """Two texts, one of them three times: scores, labels, tokens and drift see four results."""
    metrics = loaded(Metrics())
    metrics.step_committed(step([record(n, 999_500) for n in range(4)], [0, 1, 0, 0]))
    assert 4 == value(metrics, "emotag_records_total")
    assert 3 == value(metrics, "emotag_labels_total", label="joy")
    assert 1 == value(metrics, "emotag_labels_total", label="anger")
    assert 4 == value(metrics, "emotag_score_count", label="joy")
    assert value(metrics, "emotag_score_sum", label="joy") == pytest.approx(3 * 0.9 + 0.4, abs=1e-6)
    assert 3 == value(metrics, "emotag_score_bucket", label="anger", le="0.01")
    assert 3 == value(metrics, "emotag_text_tokens_bucket", le="12.0")
    assert 4 == value(metrics, "emotag_drift_window_texts")


def test_ages_and_latencies_are_by_the_records_timestamps() -> None:
    """Of a record without one nothing is known; one from the future is new."""
    metrics = Metrics()
    metrics.step_committed(step([record(0, 999_500), record(1, None), record(2, 1_003_000)]))
    assert 2 == value(metrics, "emotag_queue_age_seconds_count")
    assert value(metrics, "emotag_queue_age_seconds_sum") == pytest.approx(0.5)
    assert value(metrics, "emotag_text_to_tag_seconds_sum") == pytest.approx(2.5)
    assert 1 == value(metrics, "emotag_text_to_tag_seconds_bucket", le="0.01")


def test_stages_padding_and_the_devices_time_are_counted() -> None:
    metrics = Metrics()
    metrics.step_committed(step([record(0, None)]))
    assert value(metrics, "emotag_stage_seconds_sum", stage="device") == pytest.approx(0.1)
    assert 0 == value(metrics, "emotag_stage_seconds_count", stage="tokenise")
    assert (29, 32) == (value(metrics, "emotag_tokens_total"), value(metrics, "emotag_computed_tokens_total"))
    assert value(metrics, "emotag_device_busy_seconds_total") == pytest.approx(0.1)
    assert 1002 == value(metrics, "emotag_last_commit_timestamp_seconds")


def test_every_reason_counts_from_nought() -> None:
    """Else the first dead letter of a kind would be no rise."""
    metrics = Metrics()
    for reason in BadRecord.__subclasses__():
        assert 0 == value(metrics, "emotag_dead_letters_total", reason=reason.__name__)


def test_drift_is_told_of_a_full_enough_window() -> None:
    metrics = loaded(Metrics())
    metrics.step_committed(step([record(n, None) for n in range(999)], [0] * 999))
    assert value(metrics, "emotag_drift_score_psi", label="joy") is None
    metrics.step_committed(step([record(n, None) for n in range(2)], [0, 1]))
    assert (value(metrics, "emotag_drift_score_psi", label="joy") or 0) > 1
    assert (value(metrics, "emotag_drift_length_psi") or 0) < 0.1
    assert value(metrics, "emotag_drift_unknown_ratio", of="window") == pytest.approx(1 / (1000 * 9 + 20))


def test_without_a_reference_there_is_nothing_to_drift_from() -> None:
    metrics = Metrics()
    metrics.model_loaded(LABELS, None, dict)
    metrics.step_committed(step([record(n, None) for n in range(2)], [0, 1]))
    assert b"drift" not in generate_latest(metrics.registry)


def test_without_a_cache_nothing_says_that_it_is_down() -> None:
    assert value(Metrics(), "emotag_cache_up") is None


def test_a_distribution_shows_what_the_librarys_own_histogram_shows() -> None:
    values = [0.0, 0.01, 0.0100001, 0.5, 0.95]
    registry, ours = CollectorRegistry(), CollectorRegistry()
    theirs = Histogram("score", "Text.", buckets=SCORE_EDGES, registry=registry)
    for each in values:
        theirs.observe(each)
    made = Distribution("score", "Text.", SCORE_EDGES)
    made.add(np.array(values)[:, None])
    ours.register(made)
    expected = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert expected == generate_latest(ours).decode().splitlines()


def test_a_trace_that_is_recorded_is_an_exemplar_where_openmetrics_is_asked_for() -> None:
    telemetry = Telemetry()
    unsampled = SAMPLED[:-2] + b"00"
    records = [record(0, 999_500, SAMPLED), record(1, 999_500, unsampled), record(2, 900_000, unsampled)]
    telemetry.metrics.step_committed(step(records))
    body, kind = telemetry.exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in read_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    shown = [sample.exemplar for sample in families["emotag_text_to_tag_seconds"].samples if sample.exemplar]
    assert [({"trace_id": TRACE}, 2.5)] == [(exemplar.labels, exemplar.value) for exemplar in shown]


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/plain;version=0.0.4", "application/openmetrics-textual", "\x00;=,"]
)
def test_whoever_does_not_ask_for_openmetrics_gets_the_plain_format(accept: str) -> None:
    telemetry = Telemetry()
    telemetry.metrics.step_committed(step([record(0, 999_500, SAMPLED)]))
    body, kind = telemetry.exposition(accept)
    assert kind.startswith("text/plain")
    assert TRACE.encode() not in body
    assert "emotag_records" in {family.name for family in read_plain(body.decode())}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"00-" + TRACE.encode(),
        SAMPLED.upper(),
        SAMPLED + b"-more",
        b"ff" + SAMPLED[2:],
        SAMPLED.replace(TRACE.encode(), b"0" * 32),
        SAMPLED.replace(b"00f067aa0ba902b7", b"0" * 16),
    ],
)
def test_what_is_no_traceparent_is_not_followed(said: bytes) -> None:
    assert traceparent((("traceparent", said),)) is None


def test_a_traceparent_is_followed_also_of_a_version_to_come() -> None:
    expected = TraceParent(TRACE, "00f067aa0ba902b7", True)
    assert expected == traceparent((("a", b"b"), ("traceparent", SAMPLED)))
    assert expected == traceparent((("traceparent", b"01" + SAMPLED[2:] + b"-more"),))
    assert traceparent(None) is None


def families() -> dict[str, tuple[str, set[str]]]:
    """{name as queries have it: (type, labels)} of all that a worker can expose."""
    found: dict[str, tuple[str, set[str]]] = {}
    metrics = loaded(Metrics())
    metrics.step_committed(step([record(0, 0)], [0] * 1000))
    metrics.lag.labels("0")
    metrics.cache_errors.labels("TimeoutError")
    metrics.info.labels(*["x"] * 7)
    for family in metrics.registry.collect():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name + "_total" * (family.type == "counter")] = (family.type, labels)
    return found


def test_the_operations_page_lists_every_metric_and_no_other() -> None:
    """With its type and its labels."""
    rows = re.findall(r"^\| `(emotag_\w+)` \| (\w+) \|(.*?)\|", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    ours = {name: what for name, what in families().items() if name.startswith("emotag_")}
    assert ours == listed


def test_names_have_their_unit_at_the_end() -> None:
    """Prometheus' convention: seconds and bytes, `_total` on what only grows, no milliseconds."""
    for name, (kind, _) in families().items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|millis|minutes|mb|percent)(_|$)", name), name
