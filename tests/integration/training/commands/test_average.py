"""The mean of several runs is a model like any other; runs without a common start have none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from emotag_model import artifact
from emotag_training.data.table import load_split
from emotag_training.distillation.teacher import Teacher
from emotag_training.errors import OutputError, RecipeError
from emotag_training.presets import resolve
from emotag_training.run import build_model
from tests.integration.training.test_training import run


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A first model, and models that continue it: with two seeds, with another rate, and with an untrained head."""
    root = tmp_path_factory.mktemp("runs")
    common = ["--data", str(folder), "--epochs", "2", "--precision", "fp32"]
    run("fit", *common, "--encoder", str(folder / "encoder"), "--out", str(root / "first"))
    train = load_split(folder / "train.tsv")
    once_N = np.ones(len(train), np.int64)
    shown_NK = np.clip(0.1 + 0.8 * train.targets_NK, 0, 1)
    Teacher(shown_NK, train.labels, train.sha256, ("a", "b"), models_N=once_N).save(root / "folds")
    common += ["--set", f"distillation.teacher={root / 'folds'}"]
    continued = [*common, "--encoder", str(root / "first"), "--set", "head.continued=true"]
    run("fit", *continued, "--seed", "1", "--set", "run.best_of_seeds=3", "--out", str(root / "one"))
    run(
        "fit",
        *continued,
        "--seed",
        "2",
        "--set",
        "run.best_of_seeds=3",
        "--name",
        "two",
        "--precision",
        "bf16",
        "--out",
        str(root / "two"),
    )
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
    for name in set(mean.weights) - {"classifier.weight", "classifier.bias"}:  # Platt scaling is part of these
        expected = (one.weights[name] + two.weights[name]) / 2
        assert np.allclose(expected, mean.weights[name], rtol=1e-3, atol=1e-6)  # rounded to fp16
    assert not np.allclose(one.weights["conv.weight"], mean.weights["conv.weight"], rtol=1e-3, atol=1e-6)
    assert load_split(folder / "train.tsv").sha256 == mean.thresholds.data_sha256  # the teacher's predictions
    assert mean.metrics["dev"]["texts"] == one.metrics["dev"]["texts"]
    record = json.loads((out / artifact.TRAINING).read_text())
    assert [(1, one.version), (2, two.version)] == [(each["seed"], each["version"]) for each in record["mean_of"]]
    assert f"emotag-train average {runs['one']} {runs['two']}" in record["command"]
    card = (out / artifact.CARD).read_text()
    assert "Its weights are the mean of 2 runs, with the seeds 1, 2." in card
    assert "each run kept the weights of the epoch with the best mean average precision on them" in " ".join(
        card.split()
    )
    assert not [word for word in ("One seed", "the seed is the one of") if word in card]
    assert str(folder) == record["recipe"]["data"]["source"]
    with pytest.raises(RecipeError, match="mean is a mean of runs; name the runs that it was made from"):
        run("average", str(runs["one"]), str(out), "--data", str(folder), "--out", str(tmp_path / "again"))


def test_a_run_that_continues_a_model_starts_with_its_encoder_and_its_head(runs: dict[str, Path]) -> None:
    recipe = resolve(None, runs["one"] / "recipe.toml", {})
    first = artifact.load(runs["first"])
    _, model = build_model(recipe, first.config.labels)
    assert all(np.array_equal(first.weights[name], values) for name, values in model.weights().items())


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["one"], "a mean needs two runs or more"),
        (["one", "none"], "none: it has no recipe.toml"),
        (["one", "first"], "first started with an untrained head; only runs with head.continued = true have a mean"),
        (["two", "other"], "different recipes: schedule.learning_rate, run.best_of_seeds; only the seed may differ"),
        (["one", "same"], "two of the runs have the same seed"),
    ],
)
def test_models_that_have_no_mean_are_refused(
    folder: Path, runs: dict[str, Path], tmp_path: Path, named: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        run(
            "average",
            *[str(runs["one"].parent / name) for name in named],
            "--data",
            str(folder),
            "--out",
            str(tmp_path / "mean"),
        )


def test_other_texts_and_an_output_that_would_replace_something_are_refused(
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
    with pytest.raises(OutputError, match="it is a file"):
        run("average", *both, "--data", str(folder), "--out", str(folder / "dev.tsv"))
