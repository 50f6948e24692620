"""The commands of the tutorial and of docs/train.md, in their order, on an encoder that is small enough.

`tests/guides/test_tutorial.py` also starts the tutorial's worker.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import emotag_worker.cli.commands  # noqa: F401  (registers the commands)
from emotag_model import artifact
from emotag_training.cli import app as train_app
from emotag_worker.cli.app import app as worker_app

ROOT = Path(__file__).parents[4]
PAGES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("train-your-own.md", "train.md")]
PROGRAMS = {"emotag-train": train_app, "emotag": worker_app}


def find_commands() -> list[list[str]]:
    """Return the pages' commands on the example texts and on the models that are made of them."""
    blocks = [
        block for page in PAGES for block in re.findall(r"^```[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("emotag") and "--resume" not in line]
    return [words for words in commands if {"examples/comments.csv", "runs/comments"} & set(words)]


@pytest.mark.timeout(300)
def test_the_guides_commands_work_in_their_order(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    ran = []
    for program, command, *options in find_commands():
        short = {
            "fit": ["--encoder", str(folder / "encoder"), "--precision", "fp32", "--epochs", "1"],
            "tag": ["--engine", "torch", "--precision", "fp32"],
        }
        done = CliRunner().invoke(PROGRAMS[program], [command, *options, *short.get(command, [])])
        assert 0 == done.exit_code, f"{command} {options}: {done.output} {done.exception!r}"
        if command in ("fit", "evaluate", "tune", "compare", "plot"):
            assert "only 124 texts, so the intervals are wide, and an interval such as 1.0000" in done.output, command
        ran.append(command)
    assert {"audit", "fit", "tag", "tune", "compare", "plot", "export"} == set(ran)
    made = artifact.load(tmp_path / "runs" / "comments")
    assert ("amusement", "anger", "curiosity", "gratitude", "love", "sadness") == made.config.labels
    assert 124 == json.loads((tmp_path / "runs" / "comments" / "metrics.json").read_text())["dev"]["texts"]
    assert (tmp_path / "runs" / "comments-report" / "report.html").is_file()
