"""`make deploy-check`: all that can be said of `deploy/` without a cluster."""

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
    """Make every check, say a line of each and what it found; 1 where one found anything."""
    parser = argparse.ArgumentParser(prog="make deploy-check", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder that deploy/ is in")
    parser.add_argument(
        "--tools", type=Path, default=ROOT / ".venv-deploy" / "bin", help="programs of requirements/deploy.txt"
    )
    parser.add_argument(
        "--shared", type=Path, default=ROOT.parent / "shared", help="the strict checker and definitions"
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="FOLDER", help="of deploy/kubernetes, render only these"
    )
    parser.add_argument(
        "--write-rules", action="store_true", help="only make the PrometheusRule of observe/alerts.yaml"
    )
    given = parser.parse_args(arguments)
    if given.write_rules:
        rules.write(Tree(given.root))
        return 0
    tree, programs = Tree(given.root, only=given.only), Programs(tools=given.tools.absolute(), shared=given.shared)
    checks: list[tuple[str, Callable[[Tree], Iterable[str]]]] = [
        ("rendering", _rendering),
        ("schemas", programs.schemas),
        ("policies", policies.problems),
        ("settings", environment.problems),
        ("scaling", scaling.problems),
        ("kafka", kafka.problems),
        ("queries", queries.problems),
        ("rules", rules.problems),
        ("promtool", programs.promtool),
        ("hadolint", programs.hadolint),
        ("yamllint", programs.yamllint),
    ]
    failed = [_make(name, check, tree) for name, check in checks]
    return 1 if any(failed) else 0


def _rendering(tree: Tree) -> list[str]:
    nothing = [] if tree.rendered or tree.complaints else ["nothing was rendered"]
    return nothing + tree.complaints


def _make(name: str, check: Callable[[Tree], Iterable[str]], tree: Tree) -> bool:
    """One check; whether it found anything."""
    found: list[str] = []
    skipped = ""
    try:
        found.extend(check(tree))  # what it finds before it has to skip the rest counts
    except Skipped as why:
        skipped = str(why)
    verdict = f"{len(found)} problems" if found else f"SKIPPED: {skipped}" if skipped else "ok"
    print(f"{name:<10} {verdict}")  # noqa: T201
    for problem in found:
        print(f"    {problem}")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
