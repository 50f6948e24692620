"""The mean of several runs is a model like any other; runs without a common start have none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from emotag_model import artifact
from emotag_training.errors import OutputError, RecipeError

from .test_training import run


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A first model, and models that continue it: with two seeds, with another rate, and with a head of their own."""
    root = tmp_path_factory.mktemp("runs")
    common = ["--data", str(folder), "--epochs", "1", "--precision", "fp32"]
    run("fit", *common, "--encoder", str(folder / "encoder"), "--out", str(root / "first"))
    continued = [*common, "--encoder", str(root / "first"), "--set", "head.continued=true"]
    run("fit", *continued, "--seed", "1", "--out", str(root / "one"))
    run("fit", *continued, "--seed", "2", "--out", str(root / "two"))
    run("fit", *continued, "--seed", "3", "--set", "schedule.learning_rate=1e-5", "--out", str(root / "other"))
    shutil.copytree(root / "one", root / "same")
    return {name: root / name for name in ("first", "one", "two", "other", "same")}


@pytest.mark.timeout(300)
def test_the_mean_of_two_runs_has_the_mean_of_their_weights_and_figures_of_its_own(
    folder: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "mean"
    told = run("average", str(runs["one"]), str(runs["two"]), "--data", str(folder), "--out", str(out))
    one, two, mean = (artifact.load(path) for path in (runs["one"], runs["two"], out))
    assert mean.version in told
    for name, values in mean.weights.items():
        assert np.allclose((one.weights[name] + two.weights[name]) / 2, values, atol=1e-3)
    assert mean.metrics["dev"]["texts"] == one.metrics["dev"]["texts"]
    record = json.loads((out / artifact.TRAINING).read_text())
    assert [(1, one.version), (2, two.version)] == [(each["seed"], each["version"]) for each in record["mean_of"]]
    assert f"emotag-train average {runs['one']} {runs['two']}" in record["command"]
    card = (out / artifact.CARD).read_text()
    assert "Its weights are the mean of 2 runs, with the seeds 1, 2." in card
    assert "One seed" not in card
    with pytest.raises(RecipeError, match="mean is a mean of runs itself; name these runs"):
        run("average", str(runs["one"]), str(out), "--data", str(folder), "--out", str(tmp_path / "again"))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["one"], "a mean needs two models or more"),
        (["one", "first"], "first started with a head of its own; only runs with head.continued = true have a mean"),
        (["one", "other"], "other and .*one differ in more than their seed"),
        (["one", "same"], "two of the runs have the same seed"),
    ],
)
def test_models_that_have_no_mean_are_refused(
    folder: Path, runs: dict[str, Path], tmp_path: Path, named: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        run("average", *[str(runs[name]) for name in named], "--data", str(folder), "--out", str(tmp_path / "mean"))


def test_other_texts_and_an_out_folder_that_is_a_run_are_refused(
    folder: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("dev.tsv", "emotions.txt"):
        shutil.copy(folder / name, tmp_path / name)
    shutil.copy(folder / "dev.tsv", tmp_path / "train.tsv")
    both = [str(runs["one"]), str(runs["two"])]
    with pytest.raises(RecipeError, match=r"was trained on other texts than .*; name its data set: --data DATA"):
        run("average", *both, "--data", str(tmp_path), "--out", str(tmp_path / "mean"))
    with pytest.raises(OutputError, match="it is the model itself"):
        run("average", *both, "--data", str(folder), "--out", str(runs["two"]))
