"""The metrics of a query are found, and compared with those of a worker."""

import json
from pathlib import Path

import pytest
from prometheus_client import parser

from deploy.check import queries
from deploy.check.manifests import Skipped, Tree
from emotag_worker.observability.telemetry import Telemetry
from tests.unit.worker.observability.test_instruments import batch


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
    assert names == queries.find_metrics(query)


@pytest.mark.parametrize("query", ["sum(a", "rate(a[5x])", "a b", "", "nosuchfunction(a)"])
def test_invalid_promql_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        queries.find_metrics(query)


def test_the_known_names_are_the_scraped_names() -> None:
    telemetry = Telemetry()
    telemetry.report_commit([batch([], dead_letters={"NotJson": 1})])
    telemetry.report_start(
        group="", version="", model="", model_version="", thresholds="", engine="", device="", precision=""
    )
    scraped = {
        sample.name
        for family in parser.text_string_to_metric_families(telemetry.render_metrics("")[0].decode())
        for sample in family.samples
    }
    assert {"emotag_records_total", "emotag_batch_seconds_bucket", "emotag_info"} <= scraped
    assert scraped <= queries.list_exposed()


def test_panels_in_rows_and_variables_are_checked_too(tmp_path: Path) -> None:
    dashboard = {
        "panels": [
            {"type": "row", "panels": [{"title": "deep", "targets": [{"expr": "emotag_gone"}]}]},
            {"title": "broken", "targets": [{"expr": "sum(up"}]},
        ],
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
    deep, broken, variable = queries.find_problems(Tree(tmp_path))
    assert "dashboard.json: panel deep: no worker exposes emotag_gone" == deep
    assert broken.startswith("dashboard.json: panel broken: 'sum(up' is not valid PromQL")
    assert "dashboard.json: variable pod: no worker exposes emotag_lost" == variable


def test_an_unknown_name_is_found_and_a_recorded_one_is_known(tmp_path: Path) -> None:
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
    assert ["alerts.yaml: A: no worker exposes emotga_lag_records"] == list(queries.find_problems(Tree(tmp_path)))


def test_without_queries_the_check_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    with pytest.raises(Skipped):
        list(queries.find_problems(Tree(tmp_path)))
