"""`python -m emotag_worker`."""

import subprocess
import sys
from pathlib import Path

import emotag_worker
from emotag_worker import __main__


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emotag_worker", "--version"], capture_output=True, text=True, check=False
    )
    assert (0, "emotag ", "") == (done.returncode, done.stdout[:7], done.stderr)


def test_there_is_one_module_to_start() -> None:
    (folder,) = emotag_worker.__path__
    assert [Path(str(__main__.__file__))] == list(Path(folder).rglob("__main__.py"))
