"""Which metrics a query asks for."""

import json
from pathlib import Path

import pytest
from prometheus_client import parser

from worker.metrics import StepCounts
from worker.telemetry import Telemetry

from . import queries
from .manifests import Skipped, Tree


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("emotag_lag_records", ["emotag_lag_records"]),
        ("sum by (partition) (rate(emotag_records_total{pod=~\"$pod\"}[$__rate_interval]))", ["emotag_records_total"]),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))", ["a_bucket"]),
        ("a / on (pod) group_left (version) b > bool 1 unless c offset 5m", ["a", "b", "c"]),
        ("max_over_time(sum(rate(a[5m]))[1h:1m]) or vector(0)", ["a"]),
        ('{__name__="a", pod="b"} - -c', ["a", "c"]),
        ("topk($top, a)", ["a"]),
    ],
)  # fmt: skip
def test_the_metrics_of_a_query_are_found_and_nothing_else(query: str, names: list[str]) -> None:
    assert names == queries.metrics(query)


@pytest.mark.parametrize("query", ["sum(a", "rate(a[5x])", "a b", "", "nosuchfunction(a)"])
def test_what_is_no_promql_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        queries.metrics(query)


def test_the_names_that_are_known_are_those_that_are_scraped() -> None:
    telemetry = Telemetry()
    telemetry.step_committed(
        StepCounts(
            records=[],
            origins={"computed": 1},
            dead_letters={"NotJson": 1},
            truncated=0,
            texts=1,
            tokens=5,
            computed_tokens=8,
            seconds=0.1,
            stages={"device": 0.1},
            device_seconds=0.1,
            polled_at=0.0,
            committed_at=0.1,
        )
    )
    telemetry.started(version="", model="", model_version="", thresholds="", engine="", device="", precision="")
    scraped = {
        sample.name
        for family in parser.text_string_to_metric_families(telemetry.exposition("")[0].decode())
        for sample in family.samples
    }
    assert {"emotag_records_total", "emotag_step_seconds_bucket", "emotag_info"} <= scraped
    assert scraped <= queries.exposed()


def test_panels_in_rows_and_variables_are_looked_at_too(tmp_path: Path) -> None:
    dashboard = {
        "panels": [{"type": "row", "panels": [{"title": "deep", "targets": [{"expr": "emotag_gone"}]}]}],
        "templating": {
            "list": [
                {"name": "pod", "type": "query", "query": {"query": "label_values(emotag_lost, pod)"}},
                {"name": "namespace", "type": "query", "query": "label_values(namespace)"},
                {"name": "source", "type": "datasource", "query": "prometheus"},
            ]
        },
    }
    (tmp_path / "deploy" / "observe").mkdir(parents=True)
    (tmp_path / "deploy" / "observe" / "dashboard.json").write_text(json.dumps(dashboard), encoding="utf-8")
    assert [
        "dashboard.json: panel deep: no worker exposes emotag_gone",
        "dashboard.json: variable pod: no worker exposes emotag_lost",
    ] == list(queries.problems(Tree(tmp_path)))


def test_a_name_of_nobody_is_noticed_and_a_recorded_one_is_known(tmp_path: Path) -> None:
    rules = """
groups:
- name: g
  rules:
  - record: emotag:records:rate5m
    expr: sum(rate(emotag_records_total[5m]))
  - alert: A
    expr: emotag:records:rate5m == 0 or emotga_lag_records > 1 or up == 0
"""
    (tmp_path / "deploy" / "observe").mkdir(parents=True)
    (tmp_path / "deploy" / "observe" / "alerts.yaml").write_text(rules, encoding="utf-8")
    assert ["alerts.yaml: A: no worker exposes emotga_lag_records"] == list(queries.problems(Tree(tmp_path)))


def test_without_queries_nothing_is_said_to_have_been_checked(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    with pytest.raises(Skipped):
        list(queries.problems(Tree(tmp_path)))
