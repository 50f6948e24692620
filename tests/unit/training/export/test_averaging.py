"""The mean of several runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.thresholds import Thresholds
from emotag_training.errors import OutputError, RecipeError
from emotag_training.export.averaging import average
from emotag_training.presets import apply_changes
from emotag_training.recipe import FILE as RECIPE
from emotag_training.recipe import Recipe
from tests.numerics.conftest import tiny_config, tiny_tokenizer

LABELS = ("calm", "glad", "neutral")
START = {"continued_from": "first (sha256:1)", "encoder": "tiny"}


def make(seed: int, **changes: Any) -> Artifact:
    torch.manual_seed(seed)
    model = DistilBertCNN(tiny_config(labels=LABELS, **changes)).eval()
    thresholds = Thresholds.fixed(LABELS, 0.5)
    return Artifact(f"run-{seed}", model.config, model.weights(), tiny_tokenizer(), thresholds, {}, {"seed": seed})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of texts: letters, which are words of the tiny tokenizer."""
    rows = [f"{'abcdefgh'[number % 8]} {'ijk'[number % 3]},{LABELS[number % 3]}" for number in range(300)]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["text,labels", *rows]))
    return file


def save(made: Artifact, path: Path, data: Path, **record: Any) -> Path:
    artifact.save(replace(made, training={**made.training, **START, **record}), path, card="", dtype="fp32")
    recipe = apply_changes(Recipe(), {"data.source": str(data), "run.name": "mean", "run.device": "cpu"})
    (path / RECIPE).write_text(recipe.toml())
    return path


def test_the_weights_are_the_mean_and_thresholds_are_chosen_again(tmp_path: Path, data: Path) -> None:
    first, second = make(1), make(2)
    paths = [save(made, tmp_path / made.name, data) for made in (first, second)]
    figures = average(paths, tmp_path / "mean", command="emotag-train average …", device="cpu")
    mean = artifact.load(tmp_path / "mean")
    for name, values in mean.weights.items():
        expected = ((first.weights[name] + second.weights[name]) / 2).astype(np.float16)
        assert np.array_equal(expected, values.astype(np.float16)), name
    assert figures == mean.metrics["dev"]
    assert "f1" == mean.thresholds.policy
    assert ("mean", [1, 2]) == (mean.name, [run["seed"] for run in mean.training["averaged"]])
    assert "seed" not in mean.training
    card = (tmp_path / "mean" / artifact.CARD).read_text()
    assert "The weights are the mean of 2 runs (seeds 1, 2)." in card
    assert "It continued from first (sha256:1)." in card


def test_models_that_have_no_mean_are_refused(tmp_path: Path, data: Path) -> None:
    one, two = save(make(1), tmp_path / "one", data), save(make(2), tmp_path / "two", data)
    wide = save(make(3, channels=32), tmp_path / "wide", data)
    elsewhere = save(make(4), tmp_path / "elsewhere", data, continued_from="second (sha256:2)")
    fresh = make(5)
    artifact.save(fresh, tmp_path / "fresh", card="", dtype="fp32")
    for models, message in (
        ([one], "needs at least two models"),
        ([one, one], "none of them twice"),
        ([one, wide], "another shape"),
        ([one, elsewhere], "started from different weights"),
        ([one, tmp_path / "fresh"], "started from different weights"),
    ):
        with pytest.raises(RecipeError, match=message):
            average(models, tmp_path / "mean", command="", device="cpu")
    with pytest.raises(OutputError, match="it is the model itself"):
        average([one, two], one, command="", device="cpu")
    assert not (tmp_path / "mean").exists()


def test_runs_from_untrained_heads_have_no_mean(tmp_path: Path, data: Path) -> None:
    for seed in (1, 2):
        artifact.save(make(seed), tmp_path / f"{seed}", card="", dtype="fp32")
    with pytest.raises(RecipeError, match="started from an untrained head"):
        average([tmp_path / "1", tmp_path / "2"], tmp_path / "mean", command="", device="cpu")
