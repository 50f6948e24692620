"""`make deploy-check` notices: ten mistakes, each made in a copy of `deploy/`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import policies, queries, rules, scaling
from .__main__ import main
from .manifests import Skipped, Tree
from .programs import Programs

WORKER = "kubernetes/base/deployment.yaml"
SCALED = "kubernetes/components/keda/scaledobject.yaml"
ONLY = ("overlays/cpu", "kafka")
PANEL = '{"panels": [{"title": "lag", "targets": [{"expr": "%s"}]}]}'
RULES = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]"
RULE_TEST = """
rule_files: [alerts_quiet.yaml]
tests:
- input_series: [{series: up, values: 1x10}]
  alert_rule_test: [{eval_time: 5m, alertname: A, exp_alerts: [{exp_labels: {}}]}]
"""

Check = Callable[[Tree], Iterable[str]]


@dataclass(frozen=True)
class Mistake:
    """One, and what is said of it.

    Attributes:
        file: within `deploy/`.
        right, wrong: what stands there, once, and what it becomes.
        check: the name of one of `Programs`, or one of our own.
        said: a part of what the check must say.
    """

    name: str
    file: str
    right: str
    wrong: str
    check: str | Check
    said: str


MISTAKES = (
    Mistake(
        "a typo in a field",
        WORKER,
        "enableServiceLinks: false",
        "enableServiceLink: false",
        "schemas",
        "enableServiceLink",
    ),
    Mistake("a wrong type", WORKER, "failureThreshold: 90", 'failureThreshold: "90"', "schemas", "90"),
    Mistake(
        "a missing limit",
        WORKER,
        '          limits:\n            cpu: "2"\n            memory: 1Gi\n',
        '          limits:\n            cpu: "2"\n',
        policies.problems,
        "resources.limits.memory is missing",
    ),
    Mistake(
        "a writable root",
        WORKER,
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        policies.problems,
        "readOnlyRootFilesystem is not true",
    ),
    Mistake(
        "broken PromQL",
        "observe/dashboard.json",
        "",
        PANEL % "sum(rate(emotag_records_total[5m])",
        queries.problems,
        "is no PromQL",
    ),
    Mistake(
        "an unknown metric in a panel",
        "observe/dashboard.json",
        "",
        PANEL % "sum(rate(emotag_recrods_total[5m]))",
        queries.problems,
        "no worker exposes emotag_recrods_total",
    ),
    Mistake(
        "replicas over partitions",
        SCALED,
        "maxReplicaCount: 16",
        "maxReplicaCount: 17",
        scaling.problems,
        "maxReplicaCount (17) is over the 16 partitions of texts",
    ),
    Mistake(
        "a grace shorter than the drain",
        WORKER,
        "terminationGracePeriodSeconds: 40",
        "terminationGracePeriodSeconds: 20",
        policies.problems,
        "terminationGracePeriodSeconds (20) is not 5 above EMOTAG_DRAIN_S (25)",
    ),
    Mistake(
        "an unknown trigger key",
        SCALED,
        "lagThreshold:",
        "lagTreshold:",
        scaling.problems,
        "lagTreshold is none of its keys",
    ),
    Mistake(
        "a latest tag",
        "kubernetes/overlays/cpu/kustomization.yaml",
        "newTag: 0.1.0-cpu",
        "newTag: latest",
        policies.problems,
        "has no tag that says what runs",
    ),
)

BESIDES = (
    Mistake("a typo in a custom resource", SCALED, "pollingInterval:", "pollInterval:", "schemas", "pollInterval"),
    Mistake(
        "broken PromQL in an alert rule",
        "observe/alerts.yaml",
        "",
        "groups: [{name: g, rules: [{alert: A, expr: sum(up}]}]",
        "promtool",
        "could not parse expression",
    ),
    Mistake(
        "an alert rule that does not fire where its test says",
        "observe/alerts_test.yaml",
        "",
        RULE_TEST,
        "promtool",
        "FAILED",
    ),
    Mistake(
        "an alert rule that the operator is not given",
        "observe/alerts.yaml",
        "",
        RULES,
        rules.problems,
        "is not what observe/alerts.yaml says",
    ),
    Mistake(
        "a shell for an entry point", "Dockerfile", 'ENTRYPOINT ["emotag"]', "ENTRYPOINT emotag", "hadolint", "DL3025"
    ),
    Mistake(
        "a key that is given twice",
        WORKER,
        "  revisionHistoryLimit: 5\n",
        "  revisionHistoryLimit: 5\n" * 2,
        "yamllint",
        "key",
    ),
)


def make(mistake: Mistake, root: Path) -> None:
    """Change the file that it is in, or write it where nothing stood."""
    file = root / "deploy" / mistake.file
    if mistake.right:
        text = file.read_text(encoding="utf-8")
        assert 1 == text.count(mistake.right)
        file.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    else:
        file.write_text(mistake.wrong, encoding="utf-8")


@pytest.mark.parametrize("mistake", [*MISTAKES, *BESIDES], ids=lambda mistake: mistake.name)
def test_a_mistake_is_noticed(mistake: Mistake, own_deploy: Path, programs: Programs) -> None:
    (own_deploy / "deploy" / "observe" / "alerts_quiet.yaml").write_text(RULES, encoding="utf-8")
    make(mistake, own_deploy)
    check: Check = getattr(programs, mistake.check) if isinstance(mistake.check, str) else mistake.check
    found: list[str] = []
    try:
        found.extend(check(Tree(own_deploy, only=ONLY)))
    except Skipped as why:
        if not found:
            pytest.skip(str(why))
    assert mistake.said in "\n".join(found)


@pytest.mark.usefixtures("tree")
def test_a_typo_is_noticed_without_the_strict_checker_too_and_what_was_not_checked_is_said(
    own_deploy: Path, programs: Programs
) -> None:
    make(MISTAKES[0], own_deploy)
    found: list[str] = []
    alone = Programs(tools=programs.tools, shared=own_deploy / "nowhere")
    with pytest.raises(Skipped, match="custom resources were not held against their definitions"):
        found.extend(alone.schemas(Tree(own_deploy, only=("base",))))
    assert MISTAKES[0].said in "\n".join(found)


@pytest.mark.usefixtures("tree")
def test_make_deploy_check_ends_with_0_and_with_a_mistake_with_1_and_says_where(
    own_deploy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", str(own_deploy), "--only", *ONLY]
    code = main(arguments)
    assert 0 == code, capsys.readouterr().out
    make(MISTAKES[-1], own_deploy)
    assert 1 == main(arguments)
    assert "overlays/cpu: Deployment/emotag: container worker: image" in capsys.readouterr().out


@pytest.mark.usefixtures("tree")
def test_a_folder_that_cannot_be_rendered_is_a_problem(own_deploy: Path) -> None:
    (own_deploy / "deploy/kubernetes/base/network.yaml").unlink()
    assert Tree(own_deploy, only=("base",)).complaints


def test_a_program_that_is_not_installed_is_a_problem_not_a_pass(own_deploy: Path, programs: Programs) -> None:
    missing = Programs(tools=own_deploy, shared=programs.shared)
    (said,) = missing.hadolint(Tree(own_deploy))
    assert "make deploy-check installs it" in said


@pytest.mark.usefixtures("tree")
def test_the_operators_rules_are_made_of_prometheus_own(own_deploy: Path) -> None:
    (own_deploy / "deploy" / "observe" / "alerts.yaml").write_text(RULES, encoding="utf-8")
    assert 0 == main(["--root", str(own_deploy), "--write-rules"])
    assert [] == list(rules.problems(Tree(own_deploy, only=ONLY)))
