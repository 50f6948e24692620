"""Check that the PrometheusRule for the operator matches the alert rules in Prometheus' own format."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from .manifests import SHIPPED, Object, Skipped, Tree

OPERATOR_RULES = "kubernetes/components/prometheus/rules.yaml"
HEADER = "# Generated from observe/alerts.yaml by: python -m deploy.check --write-rules\n"


def find_problems(tree: Tree) -> Iterator[str]:
    """Yield each PrometheusRule of a shipped overlay that differs from the alert rules. Your overlays may patch it.

    Raises:
        Skipped: there are no alert rules.
    """
    wanted = _merge_rules(tree)
    if not wanted["groups"]:
        raise Skipped("there are no alert rules")
    for where, rule in tree.iterate_kind("PrometheusRule"):
        if where.partition(":")[0] in SHIPPED and rule["spec"] != wanted:
            yield f"{where} differs from observe/alerts.yaml; run: python -m deploy.check --write-rules"


def write_rules(tree: Tree) -> None:
    """Write the PrometheusRule."""
    made = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "emotag", "namespace": "emotag", "labels": {"app.kubernetes.io/name": "emotag"}},
        "spec": _merge_rules(tree),
    }
    text = yaml.safe_dump(made, sort_keys=False, width=110)
    (tree.deploy / OPERATOR_RULES).write_text(HEADER + text, encoding="utf-8")


def list_rule_files(tree: Tree) -> list[Path]:
    """Return the files of alert rules, without their tests."""
    return [file for file in sorted((tree.deploy / "observe").glob("alerts*.yaml")) if not file.stem.endswith("_test")]


def _merge_rules(tree: Tree) -> Object:
    """Return the rules of all files."""
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in list_rule_files(tree)]
    return {"groups": [group for document in documents for group in document["groups"]]}
