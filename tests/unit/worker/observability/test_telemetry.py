"""Each event updates its metrics and its log line; the format of metrics is the client's choice."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain
from structlog.testing import capture_logs

import emotag_worker
from emotag_worker.kafka.input.gap import Gap
from emotag_worker.kafka.lag_watch import TopicLag
from emotag_worker.observability.telemetry import Telemetry
from tests.unit.worker.observability.test_instruments import SAMPLED, TRACE, batch, record

TEXT_0 = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
"""The Accept header of Prometheus 3."""


ROOT = Path(__file__).parents[4]

LEVELS = ("debug", "info", "warning", "error", "critical")


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT_0),
        ("*/*", TEXT_0),
        ("text/plain", TEXT_0),
        ("text/plain;version=0.0.4", TEXT_0),
        ("text/plain;version=1.0.0", f"{TEXT_1}; escaping=underscores"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", f"{TEXT_1}; escaping=allow-utf-8"),
        ("text/plain;version=1.0.0;escaping=unknown", f"{TEXT_1}; escaping=underscores"),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0", f"{OPENMETRICS}; escaping=underscores"),
        (PROMETHEUS_3, f"{OPENMETRICS}; escaping=allow-utf-8"),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", TEXT_0),
        ("application/openmetrics-textual", TEXT_0),
        ("application/openmetrics-text;version=new", TEXT_0),
        ("text/plain;version=1.x", TEXT_0),
        ("\x00;=,", TEXT_0),
    ],
)
def test_the_client_chooses_format_version_and_escaping(accept: str, content_type: str) -> None:
    telemetry = Telemetry()
    telemetry.report_commit([batch([record(0, 999_500, SAMPLED)])])
    body, sent = telemetry.render_metrics(accept)
    assert content_type == sent
    text = body.decode()
    if sent.startswith("text/plain"):
        assert TRACE not in text
        assert "emotag_records" in {family.name for family in read_plain(text)}
    else:
        assert text.endswith("# EOF\n")
        assert "emotag_records" in {family.name for family in read_openmetrics(text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("accept", "escaping", "name"),
    [
        ("text/plain;version=1.0.0", "dots", "emotag__records__total"),
        ("application/openmetrics-text;version=1.0.0", "dots", "emotag__records__total"),
        ("application/openmetrics-text;version=1.0.0", "allow-utf-8", "emotag_records_total"),
    ],
)
def test_names_have_the_escaping_that_the_client_requests(accept: str, escaping: str, name: str) -> None:
    body, sent = Telemetry().render_metrics(f"{accept};escaping={escaping}")
    assert sent.endswith(f"; escaping={escaping}")
    assert f"\n{name} 0.0\n" in body.decode()


def test_openmetrics_has_the_recorded_traces_as_exemplars() -> None:
    telemetry = Telemetry()
    unsampled = SAMPLED[:-2] + b"00"
    records = [record(0, 999_500, SAMPLED), record(1, 999_500, unsampled), record(2, 900_000, unsampled)]
    telemetry.report_commit([batch(records)])
    body, _ = telemetry.render_metrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    families = {family.name: family for family in read_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    shown = [sample.exemplar for sample in families["emotag_end_to_end_seconds"].samples if sample.exemplar]
    assert [({"trace_id": TRACE}, 2.5)] == [(exemplar.labels, exemplar.value) for exemplar in shown]


def collect_events() -> dict[str, tuple[set[str], set[str]]]:
    """Return levels and fields by event, of every call in the worker's code that writes a log line.

    A level is the name of the method, or the names that a variable `log` can have. Fields behind `**` are left out.
    """
    events: dict[str, tuple[set[str], set[str]]] = {}
    for path in Path(emotag_worker.__path__[0]).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            possible = {a.attr for a in ast.walk(function) if isinstance(a, ast.Attribute) and a.attr in LEVELS}
            for call in ast.walk(function):
                match call:
                    case ast.Call(ast.Attribute(ast.Attribute(attr="_log"), level) | ast.Name("log" as level), [name]):
                        levels = possible if level == "log" else {level}
                        changes = ("assigned", "revoked", "lost") if isinstance(name, ast.JoinedStr) else ("",)
                        for change in changes:
                            event = f"partitions_{change}" if change else ast.literal_eval(name)
                            events[event] = levels, {keyword.arg for keyword in call.keywords if keyword.arg}
    return events


def test_the_documentation_lists_every_event_with_its_levels_and_fields() -> None:
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n### Log events\n")[2]
    section = section.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| ([^|]*)\|", section, flags=re.MULTILINE)
    documented = {
        event: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields))) for event, levels, fields in rows
    }
    events = collect_events()
    assert len(events) > 20
    assert events.keys() == documented.keys()
    for event, (levels, fields) in events.items():
        assert levels == documented[event][0], event
        assert fields <= documented[event][1], event


@pytest.mark.parametrize(
    ("report", "level", "event", "fields"),
    [
        (lambda it: it.report_stop(reason="drained", exit_code=0), "info", "worker_stopped", {"reason": "drained"}),
        (lambda it: it.report_stop(reason="x", exit_code=1), "error", "worker_stopped", {"exit_code": 1}),
        (lambda it: it.report_shutdown("SIGTERM", 25.0), "info", "shutdown_started", {"signal": "SIGTERM"}),
        (lambda it: it.report_shutdown_timeout(25.0), "error", "shutdown_timed_out", {"timeout_s": 25.0}),
        (lambda it: it.report_admin_server("0.0.0.0", 80), "info", "admin_server_started", {"port": 80}),
        (lambda it: it.report_ignored_setting("x"), "warning", "setting_ignored", {"reason": "x"}),
        (lambda it: it.report_engine_measurement(), "info", "engine_measurement_started", {}),
        (lambda it: it.report_engine_choice("torch", "fp32", "only", {}, ""), "info", "engine_chosen", {"how": "only"}),
        (
            lambda it: it.report_engine_choice("openvino", "int8", "default", {}, "x"),
            "warning",
            "engine_chosen",
            {"how": "default", "reason": "x"},
        ),
        (lambda it: it.report_unused_gpus(2), "warning", "gpus_ignored", {"gpus": 2}),
        (lambda it: it.report_batch_calibration(64), "info", "batch_calibrated", {"records": 64}),
        (
            lambda it: it.report_placements("input", "key", {"texts": 4}),
            "info",
            "placements_chosen",
            {"results": "input", "dead_letters": "key", "partitions": {"texts": 4}},
        ),
        (
            lambda it: it.report_short_retention("emotions", 5, 60.0),
            "warning",
            "short_retention_found",
            {"topic": "emotions", "records": 5, "retention_s": 60.0},
        ),
        (lambda it: it.report_slow_device(10.0, 3), "warning", "device_stalled", {"seconds": 10.0, "records": 3}),
        (
            lambda it: it.report_broker_error("_TRANSPORT", "connection refused", remedy="x"),
            "warning",
            "broker_error_seen",
            {"error": "_TRANSPORT", "reason": "connection refused", "remedy": "x"},
        ),
        (lambda it: it.report_broker_recovery(3.14), "info", "brokers_recovered", {"after_s": 3.1}),
        (lambda it: it.report_insecure_setting("x"), "warning", "setting_insecure", {"reason": "x"}),
        (lambda it: it.report_cache_without_secret("x"), "warning", "cache_opened_without_secret", {"reason": "x"}),
    ],
)
def test_an_event_is_logged_in_the_past_tense_with_its_fields(
    report: Callable[[Telemetry], None], level: str, event: str, fields: dict[str, Any]
) -> None:
    with capture_logs() as lines:
        report(Telemetry())
    (line,) = lines
    assert (level, event) == (line["log_level"], line["event"])
    assert fields.items() <= line.items()


def test_a_commit_is_counted_and_logged_by_source() -> None:
    telemetry = Telemetry()
    sources = {"computed": 2, "repeat": 1, "cache": 4}
    with capture_logs() as lines:
        telemetry.report_commit(
            [batch([record(n, None) for n in range(8)], sources=sources, dead_letters={"NoText": 1})]
        )
    for source, count in sources.items():
        assert count == value(telemetry, "emotag_results_total", source=source)
    (line,) = lines
    assert ("batch_committed", "debug") == (line["event"], line["log_level"])
    counts = ("records", "results", "cache_hits", "repeats", "dead_letters")
    assert [8, 7, 4, 1, {"NoText": 1}] == [line[name] for name in counts]
    assert [200.0, 100.0, 50.0] == [line[name] for name in ("ms", "device_ms", "write_ms")]


def test_batches_of_one_commit_are_one_transaction() -> None:
    telemetry = Telemetry()
    telemetry.report_commit([batch([record(n, None)]) for n in range(3)])
    assert 1 == value(telemetry, "emotag_commits_total")
    assert 3 == value(telemetry, "emotag_records_total") == value(telemetry, "emotag_batch_seconds_count")


def test_commits_are_summarized_when_the_period_is_over_and_when_the_worker_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    telemetry = Telemetry()
    with capture_logs() as lines:
        for second in (100.0, 109.0, 110.0, 111.0):
            now = second
            telemetry.report_commit([batch([record(n, None) for n in range(4)])])
            telemetry.report_progress()
        telemetry.report_stop(reason="drained", exit_code=0)
        telemetry.report_stop(reason="drained", exit_code=0)
    lines = [line for line in lines if line["event"] != "batch_committed"]
    assert [("records_committed", "info")] * 2 == [(line["event"], line["log_level"]) for line in (lines[0], lines[1])]
    assert [12, 4] == [line["records"] for line in lines[:2]]
    assert ["worker_stopped"] * 2 == [line["event"] for line in lines[2:]]


def test_an_aborted_batch_and_a_data_loss_are_counted() -> None:
    telemetry = Telemetry()
    with capture_logs() as lines:
        telemetry.report_abort("fenced", 1, 10)
        telemetry.report_data_loss("texts", 0, Gap("deleted", 3, 10, 7))
    assert 1 == value(telemetry, "emotag_aborted_batches_total")
    assert 1 == value(telemetry, "emotag_data_loss_total")
    assert 7 == value(telemetry, "emotag_deleted_records_total")
    assert ["batch_aborted", "data_lost"] == [line["event"] for line in lines]
    assert "offsets 3 to 9 of texts-0" in lines[1]["reason"]


@pytest.mark.parametrize(
    ("is_new", "ahead", "bounded", "level"),
    [(True, 5, False, "warning"), (True, 0, False, "info"), (False, 5, False, "info"), (True, 5, True, "info")],
)
def test_a_group_that_would_tag_a_topic_again_is_a_warning(is_new: bool, ahead: int, bounded: bool, level: str) -> None:
    with capture_logs() as lines:
        Telemetry().report_missing_offsets(partitions=1, start="earliest", ahead=ahead, is_new=is_new, bounded=bounded)
    assert [level] == [line["log_level"] for line in lines]


def test_lag_is_exposed_only_for_the_partitions_of_this_worker() -> None:
    telemetry = Telemetry()
    telemetry.report_lag(TopicLag(4, {("texts", 0): 5, ("texts", 1): 7}, records=20, undecided=0, undecided_s=0.0))
    telemetry.report_lag(TopicLag(4, {("texts", 1): 2}, records=9, undecided=3, undecided_s=1.5))
    assert value(telemetry, "emotag_lag_records", partition="0") is None
    assert 2 == value(telemetry, "emotag_lag_records", partition="1")
    names = ("topic_lag_records", "topic_partitions", "undecided_records", "undecided_seconds")
    assert [9, 4, 3, 1.5] == [value(telemetry, f"emotag_{name}") for name in names]


def test_a_rebalance_is_counted_by_its_change() -> None:
    telemetry = Telemetry()
    with capture_logs() as lines:
        telemetry.report_partitions("assigned", 3, 3)
        telemetry.report_partitions("revoked", 2, 1)
    assert ["partitions_assigned", "partitions_revoked"] == [line["event"] for line in lines]
    assert 1 == value(telemetry, "emotag_assigned_partitions")
    assert 1 == value(telemetry, "emotag_rebalances_total", change="revoked")


def test_the_state_of_the_cache_follows_failure_and_recovery() -> None:
    telemetry = Telemetry()
    states = [value(telemetry, "emotag_cache_up")]
    with capture_logs() as lines:
        for report in (
            telemetry.report_cache_opening,
            lambda: telemetry.report_cache_failure("localhost:6379", "TimeoutError", 0.25, ""),
            telemetry.report_cache_recovery,
        ):
            report()
            states.append(value(telemetry, "emotag_cache_up"))
    assert [None, 1, 0, 1] == states
    assert ["cache_failed", "cache_recovered"] == [line["event"] for line in lines]
    assert "reason" not in lines[0]
    assert 1 == value(telemetry, "emotag_cache_errors_total", kind="TimeoutError")


def test_a_repeated_refusal_is_counted_but_only_the_first_is_a_warning() -> None:
    telemetry = Telemetry()
    with capture_logs() as lines:
        for _ in range(3):
            telemetry.report_cache_refusal(2, "OutOfMemoryError", "")
        telemetry.report_cache_refusal(1, "ReadOnlyError", "")
    assert ["warning", "debug", "debug", "warning"] == [line["log_level"] for line in lines]
    assert 6 == value(telemetry, "emotag_cache_errors_total", kind="OutOfMemoryError")
