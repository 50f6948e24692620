"""`emotag-train` from a folder of texts to a model that tags, with a tiny encoder and easy labels."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from emotag_model import artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import compute_probabilities
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds, Tokens
from emotag_training.cli import app, main
from emotag_training.data.table import load_split
from emotag_training.presets import resolve
from tests.numerics.conftest import tiny_config

PROGRESS = re.compile(r"reading |[\d,]+ texts to train on|loading the encoder ")


def run(*arguments: str) -> str:
    """Run a command of emotag-train in this process, and return its standard output."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert 0 == done.exit_code, done.output
    return done.stdout


def mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, *, code: int = 2) -> str:
    """Return the one line that a failing command prints to stderr, after its progress; in this process."""
    monkeypatch.setattr(sys, "argv", ["emotag-train", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert code == ended.value.code
    lines = capsys.readouterr().err.splitlines()
    (told,) = (line for line in lines if not PROGRESS.match(line))
    assert lines[-1] == told
    assert told.startswith("emotag-train: ")
    return told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("changes", [(), ("--set", "run.calibrate=true"), ("--set", "data.fold=1/2")])
def test_dev_is_tokenized_once_in_a_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...]
) -> None:
    """For the loop, the calibration, the thresholds, the drift reference and the cost of int8 together."""
    counted: list[tuple[str, ...]] = []
    tokenize = Tokens.__call__

    def count(self: Tokens, texts: Sequence[str]) -> list[TokenIds]:
        counted.append(tuple(texts))
        return tokenize(self, texts)

    monkeypatch.setattr(Tokens, "__call__", count)
    common = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--epochs", "2", "--precision", "fp32"]
    run("fit", *common, *changes, "--out", str(tmp_path / "out"))
    assert 1 == counted.count(load_split(folder / "dev.tsv").texts)


@pytest.mark.timeout(300)
def test_a_model_is_fitted_evaluated_tuned_and_exported(folder: Path, tmp_path: Path) -> None:
    """From texts to an artifact that has learned its labels and that records its recipe and data."""
    out = tmp_path / "toy"
    common = ["--data", str(folder)]
    run("fit", *common, "--encoder", str(folder / "encoder"), "--out", str(out), "--epochs", "6", "--precision", "fp32")
    figures = json.loads(run("evaluate", *common, "--model", str(out), "--json"))
    assert figures["macro_f1_cross_validated"] > 0.9
    tagging = EmotionTagger.load(out, on="cpu", precision="fp32").tag(["glad xyz"])[0]
    assert "joy" == tagging.emotions[0].label

    made = artifact.load(out)
    assert {"command", "seed", "recipe", "data", "versions", "epochs"} <= set(made.training)
    assert made.training["examples_per_s"] > 0
    assert made.training["recipe"] == resolve(None, out / "recipe.toml", {}).model_dump()
    assert load_split(folder / "train.tsv").sha256 == made.training["data"]["train_sha256"]
    assert figures["macro_f1_cross_validated"] == made.metrics["dev"]["macro_f1_cross_validated"]

    assert made.reference_stats is not None
    assert made.reference_stats.texts == 160
    assert list(made.config.labels) == list(made.reference_stats.label_rates)
    (out / artifact.REFERENCE).unlink()  # like artifacts before it existed
    artifact._write_sums(out)
    run("tune", *common, "--model", str(out), "--policy", "fixed:0.4")
    tuned = artifact.load(out)
    assert tuned.reference_stats is not None
    assert made.reference_stats.to_json() == tuned.reference_stats.to_json()
    assert (0.4,) * 3 == tuned.thresholds.values
    assert made.version == tuned.version

    run("export", "--model", str(out), "--out", str(tmp_path / "full"), "--dtype", "fp32")
    assert tuned.thresholds == artifact.load(tmp_path / "full").thresholds


def test_a_smoke_run_is_a_whole_run_of_200_rows(folder: Path, tmp_path: Path) -> None:
    """With every option of the losses except the default, because a smoke run shows that everything runs."""
    out = tmp_path / "smoke"
    changes = ["--set", "loss.kind=asymmetric", "--set", f"encoder.name={folder / 'encoder'}"]
    changes += ["--set", f"data.source={folder}", "--set", "data.languages=en+ko"]
    began = time.monotonic()
    run("fit", "--smoke", *changes, "--out", str(out))
    assert time.monotonic() - began < 60
    made = artifact.load(out)
    recipe = made.training["recipe"]
    assert (200, 1) == (recipe["data"]["limit"], recipe["schedule"]["epochs"])
    assert 160 == made.metrics["dev"]["texts"]  # all rows
    assert ("en", "ko") == made.languages
    assert recipe["run"]["precision"] in ("fp32", "bf16")  # the measured precision, not `auto`


def test_the_seed_decides_the_model(folder: Path, tmp_path: Path) -> None:
    """The same seed gives the same bits, another seed other bits, without measuring precisions."""
    common = ["--smoke", "--data", str(folder), "--encoder", str(folder / "encoder")]
    run("fit", *common, "--out", str(tmp_path / "first"))
    run("fit", "--config", str(tmp_path / "first" / "recipe.toml"), "--out", str(tmp_path / "same"))
    run("fit", "--config", str(tmp_path / "first" / "recipe.toml"), "--seed", "1", "--out", str(tmp_path / "other"))
    first, same, other = ((tmp_path / name / artifact.WEIGHTS).read_bytes() for name in ("first", "same", "other"))
    assert first == same
    assert first != other


def test_a_text_of_as_many_tokens_as_the_model_has_positions_is_not_padded_beyond_them() -> None:
    """Widths are rounded up, and an encoder can have any number of positions."""
    model = DistilBertCNN(tiny_config(max_position_embeddings=13, max_tokens=13)).eval()
    longest = TokenIds(tuple(range(1, 14)), truncated=False)
    found_NK = compute_probabilities(model, [longest, TokenIds((1, 2), truncated=False)], device=torch.device("cpu"))
    assert np.isfinite(found_NK).all()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nonsense", "nonsense"),
        ("fit", "--out"),
        ("fit --out x --precision fp9", "bf16"),
        (
            "fit --data {folder} --set encoder.name={folder}/encoder --out {folder}/dev.tsv",
            "dev.tsv: it is a file; name a directory",
        ),
        ("evaluate --data /nowhere", "/nowhere"),
        ("tune --data .", "--model"),
        ("tune --data . --model x --policy best", "x: no such directory"),
        ("plot --data .", "--out"),
        ("plot --data /nowhere --out x", "/nowhere"),
    ],
)
def test_a_mistake_is_one_plain_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, command: str, message: str
) -> None:
    assert message in mistake(monkeypatch, capsys, command.format(folder=folder))


def test_a_mistake_ends_a_real_process_with_the_same_line() -> None:
    """Without output that libraries print when they are imported."""
    command = [sys.executable, "-m", "emotag_training", "fit", "--out", "x", "--set", "epoch=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert 2 == done.returncode
    assert "emotag-train: 'epoch' is not a key of a recipe; did you mean schedule.epochs?\n" == done.stderr


def test_without_what_only_training_needs_it_says_what_to_install() -> None:
    """As in an installation for workers, which has no torch."""
    program = (
        "import runpy, sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError('no torch', name=name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "sys.argv[1:] = ['fit', '--out', 'x']\n"
        "runpy.run_module('emotag_training', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=150)
    assert 2 == done.returncode
    hint = "in the clone of emotag, run: pip install ./schemas '.[train]'"
    assert f"reading goemotions\nemotag-train: torch is not installed; {hint}\n" == done.stderr
