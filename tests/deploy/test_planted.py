"""The checks find mistakes that are made in a copy of `deploy/`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.check import policies, rules
from deploy.check.__main__ import main
from deploy.check.manifests import Skipped, Tree
from deploy.check.programs import Programs

WORKER = "kubernetes/base/deployment.yaml"
SCALED = "kubernetes/components/keda/scaledobject.yaml"
ONLY = ("overlays/cpu", "kafka")
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
    """A mistake, and the check that must find it.

    Attributes:
        file: a file in `deploy/`.
        right, wrong: text that occurs once in the file, and its replacement.
        check: the name of a check of `Programs`, or a function.
        message: a part of the problem that the check must report.
    """

    name: str
    file: str
    right: str
    wrong: str
    check: str | Check
    message: str


TYPO = Mistake("a typo", WORKER, "enableServiceLinks: false", "enableServiceLink: false", "check_schemas", "Link")
LATEST = Mistake(
    "a latest tag",
    "kubernetes/overlays/cpu/kustomization.yaml",
    "newTag: 0.1.0-cpu",
    "newTag: latest",
    policies.find_problems,
    "has no version tag",
)

MISTAKES = (
    LATEST,
    Mistake("a hasty rollout", WORKER, "minReadySeconds: 45", "minReadySeconds: 5", policies.find_problems, "below 45"),
    Mistake(
        "a volume that keeps its node",
        WORKER,
        "safe-to-evict-local-volumes: scratch",
        "safe-to-evict-local-volumes: other",
        policies.find_problems,
        "volume scratch is not in the annotation",
    ),
    TYPO,
    Mistake("a wrong type", WORKER, "failureThreshold: 90", 'failureThreshold: "90"', "check_schemas", "90"),
    Mistake(
        "a typo in a custom resource", SCALED, "pollingInterval:", "pollInterval:", "check_schemas", "pollInterval"
    ),
    Mistake(
        "broken PromQL in an alert rule",
        "observe/alerts.yaml",
        "",
        "groups: [{name: g, rules: [{alert: A, expr: sum(up}]}]",
        "check_rules",
        "could not parse expression",
    ),
    Mistake(
        "an alert that does not fire in its test", "observe/alerts_test.yaml", "", RULE_TEST, "check_rules", "FAILED"
    ),
    Mistake(
        "an alert that the operator is not given", "observe/alerts.yaml", "", RULES, rules.find_problems, "differs from"
    ),
    Mistake(
        "a shell for an entry point",
        "Dockerfile",
        'ENTRYPOINT ["emotag"]',
        "ENTRYPOINT emotag",
        "check_dockerfile",
        "DL3025",
    ),
    Mistake(
        "a key that is given twice",
        WORKER,
        "  revisionHistoryLimit: 5\n",
        "  revisionHistoryLimit: 5\n" * 2,
        "check_yaml",
        "key",
    ),
)


def make(mistake: Mistake, root: Path) -> None:
    """Change the file, or write it if it does not exist."""
    file = root / "deploy" / mistake.file
    if mistake.right:
        text = file.read_text(encoding="utf-8")
        assert 1 == text.count(mistake.right)
        file.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    else:
        file.write_text(mistake.wrong, encoding="utf-8")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_noticed(mistake: Mistake, own_deploy: Path, programs: Programs) -> None:
    (own_deploy / "deploy" / "observe" / "alerts_quiet.yaml").write_text(RULES, encoding="utf-8")
    make(mistake, own_deploy)
    check: Check = getattr(programs, mistake.check) if isinstance(mistake.check, str) else mistake.check
    found: list[str] = []
    try:
        found.extend(check(Tree(own_deploy, only=ONLY)))
    except Skipped as reason:
        if not found:
            pytest.skip(str(reason))
    assert mistake.message in "\n".join(found)


@pytest.mark.usefixtures("tree")
def test_a_typo_is_found_without_the_strict_checker_too_and_skipped_checks_are_reported(
    own_deploy: Path, programs: Programs
) -> None:
    make(TYPO, own_deploy)
    found: list[str] = []
    alone = Programs(tools=programs.tools, shared=own_deploy / "nowhere")
    with pytest.raises(Skipped, match="custom resources were not checked"):
        found.extend(alone.check_schemas(Tree(own_deploy, only=("base",))))
    assert TYPO.message in "\n".join(found)


@pytest.mark.usefixtures("tree")
def test_the_exit_code_is_0_and_with_a_mistake_1_with_its_place(
    own_deploy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", str(own_deploy), "--only", *ONLY]
    code = main(arguments)
    assert 0 == code, capsys.readouterr().out
    make(LATEST, own_deploy)
    assert 1 == main(arguments)
    assert "overlays/cpu: Deployment/emotag: container worker: image" in capsys.readouterr().out


@pytest.mark.usefixtures("tree")
def test_a_folder_that_cannot_be_rendered_is_a_problem(own_deploy: Path) -> None:
    (own_deploy / "deploy/kubernetes/base/network.yaml").unlink()
    assert Tree(own_deploy, only=("base",)).errors


def test_a_program_that_is_not_installed_is_a_problem_not_a_pass(own_deploy: Path, programs: Programs) -> None:
    missing = Programs(tools=own_deploy, shared=programs.shared)
    (message,) = missing.check_dockerfile(Tree(own_deploy))
    assert "run make deploy-check to install it" in message


@pytest.mark.usefixtures("tree")
def test_the_operators_rules_are_generated_from_prometheus_rules(own_deploy: Path) -> None:
    (own_deploy / "deploy" / "observe" / "alerts.yaml").write_text(RULES, encoding="utf-8")
    assert 0 == main(["--root", str(own_deploy), "--write-rules"])
    assert [] == list(rules.find_problems(Tree(own_deploy, only=ONLY)))
