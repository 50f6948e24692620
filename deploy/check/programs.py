"""Checks by external programs: Kubernetes schemas, hadolint, yamllint, promtool."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .manifests import Skipped, Tree
from .rules import list_rule_files

PROGRAM_S = 120
KUBERNETES = "1.33"
"""Version of the schemas for built-in kinds, used if the strict checker is not available."""


@dataclass(frozen=True)
class Programs:
    """The external programs.

    Attributes:
        tools: folder with the programs of requirements/deploy.txt.
        shared: folder with the strict checker and the definitions of custom resources.
    """

    tools: Path
    shared: Path

    def check_schemas(self, tree: Tree) -> Iterator[str]:
        """Check kinds, fields and types; those of custom resources only if their definitions are available."""
        checker, definitions = self.shared / "checks" / "manifests.py", self.shared / "data" / "crds"
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{name.replace('/', '-')}.yaml" for name in tree.rendered]
            for file, text in zip(files, tree.rendered.values(), strict=True):
                file.write_text(text, encoding="utf-8")
            if checker.is_file() and definitions.is_dir():
                yield from self._run("python", str(checker), str(definitions), *map(str, files))
                return
            for file, objects in zip(files, tree.objects.values(), strict=True):
                built_in = [each for each in objects if "." not in each["apiVersion"].removesuffix(".k8s.io/v1")]
                file.write_text(yaml.safe_dump_all(built_in), encoding="utf-8")
                if built_in:
                    yield from self._run("kubernetes-validate", "--strict", "-k", KUBERNETES, str(file))
        raise Skipped(f"custom resources were not checked: {definitions} does not exist")

    def check_dockerfile(self, tree: Tree) -> Iterator[str]:
        """Check the Dockerfile."""
        return self._run("hadolint", "--no-color", str(tree.deploy / "Dockerfile"))

    def check_yaml(self, tree: Tree) -> Iterator[str]:
        """Check the format of YAML files, and duplicate keys."""
        return self._run("yamllint", "--strict", "--format", "parsable", str(tree.deploy), cwd=tree.root)

    def check_rules(self, tree: Tree) -> Iterator[str]:
        """Check alert rules, and run their unit tests."""
        promtool = shutil.which("promtool")
        if promtool is None:
            raise Skipped("promtool is not installed (Debian: prometheus)")
        rules, tests = list_rule_files(tree), sorted((tree.deploy / "observe").glob("alerts*_test.yaml"))
        if not rules:
            raise Skipped("there are no alert rules")
        yield from _run([promtool, "check", "rules", *map(str, rules)])
        if not tests:
            raise Skipped("alert rules have no tests")
        yield from _run([promtool, "test", "rules", *map(str, tests)])

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> Iterator[str]:
        found = self.tools / program
        if not found.is_file():
            return iter([f"{program} is not in {self.tools}; run make deploy-check to install it"])
        return _run([str(found), *arguments], cwd=cwd)


def _run(command: list[str], *, cwd: Path | None = None) -> Iterator[str]:
    """Run a program, and yield its messages if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PROGRAM_S, cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )  # fmt: skip
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        yield from lines or [f"{Path(command[0]).name} ended with {done.returncode}"]
