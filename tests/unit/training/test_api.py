"""The function `fit`: a recipe from keys, the data, and the directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emotag_model import artifact
from emotag_training import fit, run
from emotag_training.errors import RecipeError
from emotag_training.recipe import Recipe, RunSection, ScheduleSection


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path, dict[str, Any]]]:
    """The runs that `fit` begins; none of them trains."""
    begun: list[tuple[Recipe, Path, dict[str, Any]]] = []
    monkeypatch.setattr(run, "train", lambda recipe, out, **settings: begun.append((recipe, out, settings)))
    monkeypatch.setattr(artifact, "load", lambda path: ("the artifact in", path))
    return begun


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (None, Recipe()),
        ({"schedule.epochs": 2, "run.seed": 7}, Recipe(schedule=ScheduleSection(epochs=2), run=RunSection(seed=7))),
        (Recipe(run=RunSection(seed=7)), Recipe(run=RunSection(seed=7))),
    ],
)
def test_the_recipe_is_the_given_one_on_the_given_data(
    runs: list[tuple[Recipe, Path, dict[str, Any]]], recipe: Recipe | Mapping[str, object] | None, expected: Recipe
) -> None:
    made: object = fit(Path("mine.csv"), recipe, out="runs/mine")
    assert ("the artifact in", Path("runs/mine")) == made
    ((found, out, settings),) = runs
    assert expected.model_copy(update={"data": expected.data.model_copy(update={"source": "mine.csv"})}) == found
    assert Path("runs/mine") == out
    assert ("fit", "--config", "runs/mine/recipe.toml", "--out", "runs/mine") == settings["command"]
    assert settings["needs_artifact"]


def test_a_run_that_writes_no_model_is_refused(runs: list[tuple[Recipe, Path, dict[str, Any]]]) -> None:
    with pytest.raises(RecipeError, match=r"data\.fold = '2/5': such a run writes no model"):
        fit("mine.csv", {"data.fold": "2/5"}, out="runs/mine")
    assert [] == runs
