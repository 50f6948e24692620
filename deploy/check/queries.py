"""Check the queries of dashboards and alert rules: their syntax, and that their metrics exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import promql_parser
import yaml

from emotag_model.reference_stats import ReferenceStats
from emotag_worker.observability.telemetry import Telemetry

from .manifests import Skipped, Tree
from .rules import list_rule_files

FOREIGN = (
    "up", "ALERTS", "ALERTS_FOR_STATE", "scrape_", "kube_", "container_", "kubelet_", "process_", "python_", "keda_",
    "kafka_", "strimzi_", "redis_", "DCGM_", "node_",
)  # fmt: skip
"""Metrics of other programs, by name or prefix. Their names are not checked further."""

SAMPLES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "info": ("_info",),
}
"""Suffixes of the samples of each metric type."""

VARIABLES = (
    (re.compile(r"\$(?:__rate_interval|__interval|__range)\b|\$\{(?:__rate_interval|__interval|__range)\}"), "5m"),
    (re.compile(r"\$\{\w+(?::\w+)?\}|\$\w+|\[\[\w+\]\]"), "1"),
)
"""Grafana's variables and their replacements."""

LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<query>.+),)?\s*\w+\s*\)")
"""Grafana's query for the values of a label, which is not PromQL."""


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield invalid queries, and metrics that no worker exposes.

    Raises:
        Skipped: there are no queries.
    """
    found = [*_iterate_dashboards(tree), *_iterate_rule_queries(tree)]
    if not found:
        raise Skipped("there are no dashboards and no alert rules")
    known = list_exposed() | {name for _, name, _ in _iterate_rules(tree) if name}
    for where, query in found:
        try:
            unknown = [name for name in find_metrics(query) if not _is_known(name, known)]
        except ValueError as error:
            yield f"{where}: {query!r} is not valid PromQL: {error}"
            continue
        for name in unknown:
            yield f"{where}: no worker exposes {name}"


def list_exposed() -> set[str]:
    """Return the sample names of a worker that has a model with a reference, and a cache."""
    metrics = Telemetry().metrics
    reference = ReferenceStats.of(np.zeros((0, 1), np.float32), [], {"joy": 0.0})
    metrics.add_model(("joy",), reference, dict)
    metrics.set_cache_up(True)
    return {
        f"{family.name}{ending}" for family in metrics.registry.collect() for ending in SAMPLES.get(family.type, ("",))
    }


def find_metrics(query: str) -> list[str]:
    """Return the names of the metrics in *query*.

    Raises:
        ValueError: the query is not valid PromQL.
    """
    for variable, value in VARIABLES:
        query = variable.sub(value, query)
    names = []

    def collect(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            named = [each.value for each in node.matchers.matchers if each.name == "__name__"]
            names.extend([node.name] if node.name else named)

    promql_parser.walk(promql_parser.parse(query), collect)
    return names


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or any(name == other or (other.endswith("_") and name.startswith(other)) for other in FOREIGN)


def _iterate_dashboards(tree: Tree) -> Iterator[tuple[str, str]]:
    for file in sorted((tree.deploy / "observe").glob("*.json")):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for title, query in _iterate_panels(dashboard.get("panels", [])):
            yield f"{file.name}: panel {title}", query
        for variable in dashboard.get("templating", {}).get("list", []):
            given = variable.get("query", "")
            match = LABEL_VALUES.fullmatch((given["query"] if isinstance(given, dict) else given).strip())
            if variable.get("type") == "query" and match and match["query"]:
                yield f"{file.name}: variable {variable['name']}", match["query"]


def _iterate_panels(panels: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield (title, query) of every panel, including panels in rows."""
    for panel in panels:
        for target in panel.get("targets", []):
            if "expr" in target:
                yield panel.get("title", "?"), target["expr"]
        yield from _iterate_panels(panel.get("panels", []))


def _iterate_rule_queries(tree: Tree) -> Iterator[tuple[str, str]]:
    for where, _, query in _iterate_rules(tree):
        yield where, query


def _iterate_rules(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield (place, recorded name or an empty string, query) of every rule."""
    for file in list_rule_files(tree):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                title = rule.get("alert") or rule.get("record", "?")
                yield f"{file.name}: {title}", rule.get("record", ""), str(rule["expr"])
