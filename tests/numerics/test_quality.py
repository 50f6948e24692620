"""The figures of the shipped model are what its card says, measured anew."""

from pathlib import Path

import pytest

from model.artifact import Artifact
from training.evaluate import predict
from training.labelled import load_split
from training.metrics import report
from training.recipe import Recipe, resolve
from training.teacher import load_teacher

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


def test_the_shipped_model_was_made_by_the_recipe_and_the_teacher_that_lie_in_the_project(shipped: Artifact) -> None:
    """So `make train` makes this very model anew, where the machine is the same."""
    chosen_by_the_run = {"data", "device", "precision"}
    recipe = resolve(None, RECIPES / "emotag-mini.toml", {})
    recorded = Recipe(**shipped.training["recipe"])  # keys that came later are as they were before they came
    assert recipe.model_dump(exclude=chosen_by_the_run) == recorded.model_dump(exclude=chosen_by_the_run)
    teacher = load_teacher(RECIPES.parents[1] / recipe.teacher)
    assert list(teacher.versions) == shipped.training["taught_by"]
    assert teacher.data_sha256 == shipped.training["data"]["train_sha256"]


@pytest.mark.timeout(300)
def test_the_shipped_model_reaches_its_figures_on_dev(shipped: Artifact, goemotions: Path) -> None:
    dev = load_split(goemotions / "dev.tsv")
    figures = report(predict(shipped, dev), dev.targets_NK, shipped.thresholds.values, dev.labels)
    stored = shipped.metrics["dev"]
    assert dev.sha256 == stored["data_sha256"]
    for name in ("macro_f1_cross_fitted", "roc_auc", "mean_average_precision"):
        assert stored[name] == pytest.approx(figures[name], abs=2e-3)
    assert figures["macro_f1_cross_fitted"] >= 0.545
    assert figures["roc_auc"] >= 0.94
    assert figures["mean_average_precision"] >= 0.55
    assert figures["at_0.51"]["mcc_flattened"] >= 0.59
    assert stored["calibration"]["as_is"]["largest"] <= 0.02
