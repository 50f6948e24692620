"""Measured again, the shipped model has the figures of its card."""

from pathlib import Path

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_training.data.split import Split
from emotag_training.data.table import load_split
from emotag_training.distillation.teacher import load_teacher
from emotag_training.evaluation.evaluate import tokenize
from emotag_training.evaluation.metrics import Floats, compute_metrics, cross_validate_macro_f1
from emotag_training.evaluation.platt import compute_logits
from emotag_training.evaluation.prediction import predict
from emotag_training.evaluation.thresholds import choose_thresholds
from emotag_training.presets import resolve
from emotag_training.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "training" / "emotag_training" / "recipes"


def test_the_shipped_model_was_made_by_the_recipe_and_the_teacher_that_lie_in_the_project(shipped: Artifact) -> None:
    """So `make train` makes this model again on the same kind of machine."""
    chosen_by_the_run = {"data.source", "run.device", "run.precision"}
    recipe = resolve(None, RECIPES / "emotag-mini.toml", {})
    recorded = Recipe(**shipped.training["recipe"])  # keys that were added later have the behavior from before
    same, stored = recipe.flatten(), recorded.flatten()
    assert {} == {key: value for key, value in same.items() if stored[key] != value and key not in chosen_by_the_run}
    teacher = load_teacher(RECIPES.parents[2] / recipe.distillation.teacher)
    assert list(teacher.versions) == shipped.training["teachers"]
    assert teacher.data_sha256 == shipped.training["data"]["train_sha256"]


@pytest.fixture(scope="module")
def dev(goemotions: Path) -> Split:
    return load_split(goemotions / "dev.tsv")


@pytest.fixture(scope="module")
def predicted_NK(shipped: Artifact, dev: Split) -> Floats:
    return predict(shipped, tokenize(shipped, dev))


@pytest.mark.timeout(300)
def test_the_shipped_model_reaches_its_figures_on_dev(shipped: Artifact, dev: Split, predicted_NK: Floats) -> None:
    figures = compute_metrics(predicted_NK, dev.targets_NK, shipped.thresholds.values, dev.labels)
    stored = shipped.metrics["dev"]
    assert dev.sha256 == stored["data_sha256"]
    for name in ("macro_f1_cross_validated", "roc_auc", "mean_average_precision"):
        assert stored[name] == pytest.approx(figures[name], abs=2e-3)
    assert figures["macro_f1_cross_validated"] >= 0.545
    assert figures["roc_auc"] >= 0.94
    assert figures["mean_average_precision"] >= 0.55
    assert figures["at_0.51"]["mcc_micro"] >= 0.59
    assert stored["calibration"]["as_is"]["largest"] <= 0.02


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 2.0), (0.5, 0.5)])
def test_a_model_whose_logits_are_moved_keeps_its_decisions_and_its_figure(
    dev: Split, predicted_NK: Floats, scale: float, shift: float
) -> None:
    """A loss that moves all logits, as `asymmetric` does, must not cost any F1."""
    moved_NK = (1 / (1 + np.exp(-(scale * compute_logits(predicted_NK) + shift)))).astype(np.float32)
    before, after = (choose_thresholds(each_NK, dev, "f1") for each_NK in (predicted_NK, moved_NK))
    assert (before.decide(predicted_NK) == after.decide(moved_NK)).all()
    expected, found = (cross_validate_macro_f1(each_NK, dev.targets_NK)[0] for each_NK in (predicted_NK, moved_NK))
    assert expected == pytest.approx(found, abs=0.002)
