"""Alerts and dashboard ask for what a worker exposes, and each alert leads to its page."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_observed import families

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "deploy" / "observe"
NAME = re.compile(r"\b(?:emotag|process)_\w+")
FUNCTION_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OBSERVE / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> dict[str, list[str]]:
    """{title: its queries} of the dashboard."""
    found = json.loads((OBSERVE / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in found if "targets" in panel}


def unknown(query: str) -> set[str]:
    """Names in a query that no worker exposes."""
    exposed = families()
    names = set(NAME.findall(re.sub(r"\{[^}]*\}", "", query)))
    known = {name for name in names if name in exposed}
    for name in names - known:
        stem = FUNCTION_OF_HISTOGRAM.sub("", name)
        if stem != name and exposed.get(stem, ("",))[0] == "histogram":
            known.add(name)
    return names - known


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_an_alert_asks_for_what_a_worker_exposes_and_leads_to_its_page(alert: str) -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == alert]
    assert set() == unknown(rule["expr"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert.lower()
    assert alert in headings


def test_the_runbook_has_a_page_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [rule["alert"] for rule in rules()] == headings


def test_each_alert_is_tested_firing_and_not_firing() -> None:
    tests = yaml.safe_load((OBSERVE / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in rules():
        fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
        assert {True, False} == fires, rule["alert"]


@pytest.mark.parametrize("title", panels())
def test_a_panel_asks_for_what_a_worker_exposes(title: str) -> None:
    for query in panels()[title]:
        assert set() == unknown(query)
        assert NAME.search(query)


def test_a_name_that_no_worker_exposes_is_found() -> None:
    assert {"emotag_recrods_total"} == unknown("rate(emotag_recrods_total[5m]) / emotag_records_total")
    assert {"emotag_lag_records_sum"} == unknown('emotag_lag_records_sum{job="emotag_x"}')


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


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool on PATH")
@pytest.mark.parametrize("command", ["check rules alerts.yaml", "test rules alerts_test.yaml"])
def test_promtool_agrees(command: str) -> None:
    done = subprocess.run(["promtool", *command.split()], cwd=OBSERVE, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
