"""Alerts and dashboard query only metrics that a worker exposes, and each alert links to its runbook section."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.check import queries
from deploy.check.manifests import Tree

ROOT = Path(__file__).parents[3]
OBSERVE = ROOT / "deploy" / "observe"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OBSERVE / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def is_sentence(text: str) -> bool:
    return len(text.split()) > 4 and text.rstrip().endswith(".")


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_an_alert_has_a_severity_sentences_and_a_link_to_its_section(alert: str) -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert all(is_sentence(rule["annotations"][name]) for name in ("summary", "description"))
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert.lower()
    assert alert in headings


def test_alerts_and_dashboard_query_only_metrics_that_a_worker_exposes() -> None:
    assert [] == list(queries.find_problems(Tree(ROOT)))


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [rule["alert"] for rule in rules()] == headings


def test_each_alert_is_tested_firing_and_not_firing() -> None:
    tests = yaml.safe_load((OBSERVE / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in rules():
        fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
        assert {True, False} == fires, rule["alert"]


def test_the_dashboard_has_its_rows_and_no_two_panels_in_one_place() -> None:
    found = json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert ["Stream", "Model", "Cache", "Kafka"] == [panel["title"] for panel in found if panel["type"] == "row"]
    taken: set[tuple[int, int]] = set()
    for panel in found:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in found}) == len(found)


def test_each_panel_is_described_by_a_sentence() -> None:
    found = json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert [] == [
        panel["title"] for panel in found if panel["type"] != "row" and not is_sentence(panel.get("description", ""))
    ]


def test_the_alerts_about_lag_begin_where_the_autoscaler_adds_no_more_workers() -> None:
    """On CPUs and on GPUs: one number for `lagThreshold`, one for the rule that the alerts multiply by the workers."""
    groups = yaml.safe_load((OBSERVE / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    (recorded,) = [rule for group in groups for rule in group["rules"] if "record" in rule]
    kubernetes = ROOT / "deploy" / "kubernetes"
    scaled = yaml.safe_load((kubernetes / "components/keda/scaledobject.yaml").read_text(encoding="utf-8"))
    gpu = yaml.safe_load((kubernetes / "overlays/gpu/lag.yaml").read_text(encoding="utf-8"))
    thresholds = [gpu[0]["value"], scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"]]
    assert thresholds == re.findall(r"(\d+) \+ 0 \*", recorded["expr"])
    tolerant = [rule["alert"] for rule in rules() if recorded["record"] in rule["expr"]]
    assert ["EmotagLagGrowing", "EmotagLagStays"] == tolerant
