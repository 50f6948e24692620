"""Queries of dashboards and alert rules: they parse, and ask for metrics that there are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import promql_parser
import yaml

from model.reference import Reference
from worker.telemetry import Telemetry

from .manifests import Skipped, Tree
from .rules import rule_files

ELSEWHERE = (
    "up", "ALERTS", "ALERTS_FOR_STATE", "scrape_", "kube_", "container_", "kubelet_", "process_", "python_", "keda_",
    "kafka_", "strimzi_", "redis_", "DCGM_", "node_",
)  # fmt: skip
"""Metrics of others, by name or by what it begins with: what they are called is theirs to know."""

SAMPLES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "info": ("_info",),
}
"""What a metric of each type is called when it is scraped."""

VARIABLES = (
    (re.compile(r"\$(?:__rate_interval|__interval|__range)\b|\$\{(?:__rate_interval|__interval|__range)\}"), "5m"),
    (re.compile(r"\$\{\w+(?::\w+)?\}|\$\w+|\[\[\w+\]\]"), "1"),
)
"""Grafana's, and what stands for them here."""

LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<query>.+),)?\s*\w+\s*\)")
"""How a dashboard's variable asks for a label's values; it is not PromQL."""


def problems(tree: Tree) -> Iterator[str]:
    """What is wrong with the queries of *tree*.

    Raises:
        Skipped: it has none.
    """
    found = [*_of_dashboards(tree), *_of_rules(tree)]
    if not found:
        raise Skipped("there are no dashboards and no alert rules")
    known = exposed() | {name for _, name, _ in _rules(tree) if name}
    for where, query in found:
        try:
            strangers = [name for name in metrics(query) if not _is_known(name, known)]
        except ValueError as error:
            yield f"{where}: {query!r} is no PromQL: {error}"
            continue
        for name in strangers:
            yield f"{where}: no worker exposes {name}"


def exposed() -> set[str]:
    """Names that a worker's /metrics can have: a model loaded that says what drift is told from, a cache in use."""
    worker = Telemetry().metrics
    reference = Reference.of(np.zeros((0, 1), np.float32), [], {"joy": 0.0})
    worker.model_loaded(("joy",), reference, dict)
    worker.cache_up(True)
    return {
        f"{family.name}{ending}" for family in worker.registry.collect() for ending in SAMPLES.get(family.type, ("",))
    }


def metrics(query: str) -> list[str]:
    """Names of the metrics that *query* asks for.

    Raises:
        ValueError: it is no PromQL.
    """
    for variable, value in VARIABLES:
        query = variable.sub(value, query)
    names = []

    def look(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            named = [each.value for each in node.matchers.matchers if each.name == "__name__"]
            names.extend([node.name] if node.name else named)

    promql_parser.walk(promql_parser.parse(query), look)
    return names


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or any(
        name == other or (other.endswith("_") and name.startswith(other)) for other in ELSEWHERE
    )


def _of_dashboards(tree: Tree) -> Iterator[tuple[str, str]]:
    for file in sorted((tree.deploy / "observe").glob("*.json")):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for title, query in _panels(dashboard.get("panels", [])):
            yield f"{file.name}: panel {title}", query
        for variable in dashboard.get("templating", {}).get("list", []):
            given = variable.get("query", "")
            asked = LABEL_VALUES.fullmatch((given["query"] if isinstance(given, dict) else given).strip())
            if variable.get("type") == "query" and asked and asked["query"]:
                yield f"{file.name}: variable {variable['name']}", asked["query"]


def _panels(panels: list[Any]) -> Iterator[tuple[str, str]]:
    """(title, query) of every panel, those in rows too."""
    for panel in panels:
        for target in panel.get("targets", []):
            if "expr" in target:
                yield panel.get("title", "?"), target["expr"]
        yield from _panels(panel.get("panels", []))


def _of_rules(tree: Tree) -> Iterator[tuple[str, str]]:
    for where, _, query in _rules(tree):
        yield where, query


def _rules(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """(where, the name that it records if it does, query) of every rule."""
    for file in rule_files(tree):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                title = rule.get("alert") or rule.get("record", "?")
                yield f"{file.name}: {title}", rule.get("record", ""), str(rule["expr"])
