"""Alert rules: once in Prometheus' own form, which promtool reads, and made of that once more for its operator."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from .manifests import SHIPPED, Object, Skipped, Tree

OPERATORS = "kubernetes/components/prometheus/rules.yaml"
HEADER = "# Made of observe/alerts.yaml by: python -m tests.deploy --write-rules\n"


def problems(tree: Tree) -> Iterator[str]:
    """Where a PrometheusRule of *tree* says something else; an overlay of somebody's own may patch it.

    Raises:
        Skipped: there are no alert rules.
    """
    wanted = _spec(tree)
    if not wanted["groups"]:
        raise Skipped("there are no alert rules")
    for where, rule in tree.of_kind("PrometheusRule"):
        if where.partition(":")[0] in SHIPPED and rule["spec"] != wanted:
            yield f"{where} is not what observe/alerts.yaml says: python -m tests.deploy --write-rules"


def write(tree: Tree) -> None:
    """Make the PrometheusRule."""
    made = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "emotag", "namespace": "emotag", "labels": {"app.kubernetes.io/name": "emotag"}},
        "spec": _spec(tree),
    }
    text = yaml.safe_dump(made, sort_keys=False, width=110)
    (tree.deploy / OPERATORS).write_text(HEADER + text, encoding="utf-8")


def rule_files(tree: Tree) -> list[Path]:
    """Files of alert rules, their tests left out."""
    return [file for file in sorted((tree.deploy / "observe").glob("alerts*.yaml")) if not file.stem.endswith("_test")]


def _spec(tree: Tree) -> Object:
    """The rules of all files."""
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in rule_files(tree)]
    return {"groups": [group for document in documents for group in document["groups"]]}
