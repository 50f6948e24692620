"""Check `deploy/` without a cluster: manifests, settings, queries, alert rules and the Dockerfile."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import environment, kafka, policies, queries, rules, scaling
from .manifests import Skipped, Tree
from .programs import Programs

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-deploy" / "bin"
SHARED = ROOT.parent / "shared"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check, and print its verdict and its problems. Return 1 if there are problems."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that contains deploy/")
    parser.add_argument(
        "--tools",
        type=Path,
        default=TOOLS,
        help="programs of requirements/deploy.txt",
    )
    parser.add_argument(
        "--shared",
        type=Path,
        default=SHARED,
        help="strict checker and resource definitions",
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="FOLDER", help="render only these folders of deploy/kubernetes"
    )
    parser.add_argument(
        "--write-rules", action="store_true", help="only write the PrometheusRule from observe/alerts.yaml"
    )
    given = parser.parse_args(arguments)
    if given.write_rules:
        rules.write_rules(Tree(given.root))
        return 0
    tree, programs = Tree(given.root, only=given.only), Programs(tools=given.tools.absolute(), shared=given.shared)
    checks: list[tuple[str, Callable[[Tree], Iterable[str]]]] = [
        ("rendering", _find_rendering_problems),
        ("schemas", programs.check_schemas),
        ("policies", policies.find_problems),
        ("settings", environment.find_problems),
        ("scaling", scaling.find_problems),
        ("kafka", kafka.find_problems),
        ("queries", queries.find_problems),
        ("rules", rules.find_problems),
        ("promtool", programs.check_rules),
        ("hadolint", programs.check_dockerfile),
        ("yamllint", programs.check_yaml),
    ]
    failed = [_run_check(name, check, tree) for name, check in checks]
    return 1 if any(failed) else 0


def _find_rendering_problems(tree: Tree) -> list[str]:
    nothing = [] if tree.rendered or tree.errors else ["nothing was rendered"]
    return nothing + tree.errors


def _run_check(name: str, check: Callable[[Tree], Iterable[str]], tree: Tree) -> bool:
    """Run one check, print what it found, and return whether it found problems."""
    found: list[str] = []
    skipped = ""
    try:
        found.extend(check(tree))  # problems found before a skip count too
    except Skipped as reason:
        skipped = str(reason)
    verdict = f"{len(found)} problems" if found else f"SKIPPED: {skipped}" if skipped else "ok"
    print(f"{name:<10} {verdict}")  # noqa: T201
    for problem in found:
        print(f"    {problem}")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
