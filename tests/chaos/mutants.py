"""`make mutants`: break one promise of the code at a time, and check that its test fails.

A mutant replaces one function by a broken one, in the process that runs the tests and in the workers that they start as
`tests.chaos.rig.doomed`. Nothing in the tree changes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .mutations import MUTANTS

ROOT = Path(__file__).parents[2]

PLUGIN = "tests.chaos.mutants"
"""This module, as a plugin of pytest."""

VARIABLE = "MUTANT"
"""The environment variable that names the mutant of a process."""


def install() -> None:
    """Install the mutant that the environment names, if any."""
    name = os.environ.get(VARIABLE)
    for mutant in MUTANTS:
        if mutant.name == name:
            mutant.install()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Install the mutant before any other module imports the function that it replaces."""
    install()


def main() -> int:
    """Print a line for each mutant; return 1 if a test did not notice one."""
    parser = argparse.ArgumentParser(description="Break promises on purpose, and see tests fail.")
    parser.add_argument("-k", default="", help="only mutants with this text in their name")
    wanted = parser.parse_args().k
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.name]
    if failures := _run("", *sorted({mutant.test for mutant in mutants})):
        raise SystemExit(f"tests fail without any mutant:\n{failures}")
    alive = 0
    for mutant in mutants:
        caught = bool(_run(mutant.name, mutant.test))
        alive += not caught
        sys.stdout.write(f"{'caught' if caught else 'ALIVE '}  {mutant.name}  ({mutant.test})\n")
        sys.stdout.flush()
    return 1 if alive else 0


def _run(mutant: str, *tests: str) -> str:
    """Run tests with a mutant; return the end of their output if some fail, an empty string if all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", PLUGIN, *tests]
    environment = {**os.environ, VARIABLE: mutant}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{tests} could not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout[-2000:] if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
