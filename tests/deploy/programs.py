"""Other people's programs: schemas, hadolint, yamllint, promtool."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .manifests import Skipped, Tree
from .rules import rule_files

PROGRAM_S = 120
KUBERNETES = "1.33"
"""The version whose schemas built-in kinds are held against where the strict checker is not beside the project."""


@dataclass(frozen=True)
class Programs:
    """Where they are.

    Attributes:
        tools: the folder of programs from requirements/deploy.txt.
        shared: the folder beside the project with the strict checker and custom resources' definitions.
    """

    tools: Path
    shared: Path

    def schemas(self, tree: Tree) -> Iterator[str]:
        """Every kind known, every field known, every type right; custom resources too where their definitions are."""
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
        raise Skipped(f"custom resources were not held against their definitions: {definitions} is not there")

    def hadolint(self, tree: Tree) -> Iterator[str]:
        """The Dockerfile."""
        return self._run("hadolint", "--no-color", str(tree.deploy / "Dockerfile"))

    def yamllint(self, tree: Tree) -> Iterator[str]:
        """How the YAML looks, and keys that are given twice."""
        return self._run("yamllint", "--strict", "--format", "parsable", str(tree.deploy), cwd=tree.root)

    def promtool(self, tree: Tree) -> Iterator[str]:
        """Alert rules, and their unit tests."""
        promtool = shutil.which("promtool")
        if promtool is None:
            raise Skipped("promtool is not installed (Debian: prometheus)")
        rules, tests = rule_files(tree), sorted((tree.deploy / "observe").glob("alerts*_test.yaml"))
        if not rules:
            raise Skipped("there are no alert rules")
        yield from _run([promtool, "check", "rules", *map(str, rules)])
        if not tests:
            raise Skipped("alert rules have no tests")
        yield from _run([promtool, "test", "rules", *map(str, tests)])

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> Iterator[str]:
        found = self.tools / program
        if not found.is_file():
            return iter([f"{program} is not in {self.tools}: make deploy-check installs it"])
        return _run([str(found), *arguments], cwd=cwd)


def _run(command: list[str], *, cwd: Path | None = None) -> Iterator[str]:
    """What a program complains of."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PROGRAM_S, cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )  # fmt: skip
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        yield from lines or [f"{Path(command[0]).name} ended with {done.returncode}"]
