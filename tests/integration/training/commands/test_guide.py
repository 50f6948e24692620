"""The commands of docs/train.md, in the order in which a reader types them, on an encoder that is small enough."""

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
GUIDE = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
PROGRAMS = {"emotag-train": train_app, "emotag": worker_app}


def find_commands() -> list[list[str]]:
    """Return the guide's commands on the example texts and on the models that are made of them."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for kind, block in blocks if not kind for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("emotag") and "--resume" not in line]
    return [words for words in commands if {"examples/tickets", "runs/tickets"} & set(words)]


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
            assert "only 20 texts, so the intervals are wide, and an interval such as 1.0000" in done.output, command
        ran.append(command)
    assert {"fit", "evaluate", "tag", "tune", "compare", "plot", "export"} == set(ran)
    made = artifact.load(tmp_path / "runs" / "tickets")
    assert ("frustrated", "question", "satisfied") == made.config.labels
    assert 20 == json.loads((tmp_path / "runs" / "tickets" / "metrics.json").read_text())["dev"]["texts"]
    assert (tmp_path / "runs" / "tickets-report" / "report.html").is_file()
