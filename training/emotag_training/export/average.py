"""One model from several runs of one recipe: the mean of their weights, calibrated and tuned like a run of its own.

The runs differ in their seed and continue one head (`head.continued`). Runs with heads of their own have no common
mean, because the channels of their heads are in different orders.

Source: Wortsman et al. 2022, "Model soups" (arXiv:2203.05482), the uniform soup.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import Tokens
from emotag_training.data.split import TokenizedSplit
from emotag_training.distillation.teacher import find_held_out
from emotag_training.errors import RecipeError
from emotag_training.recipe import Recipe
from emotag_training.texts import read_texts

from .artifact_writer import export, refuse_source

CHOSEN = ("run.seed", "data.source", "encoder.name")
"""Keys in which the runs of one recipe can differ. The model that they continue is compared by its version."""


def average(runs: Sequence[Path], out: Path, *, source: str, device: str, command: str) -> dict[str, Any]:
    """Write the mean of the models in *runs* to *out*, and return its figures on dev.

    Args:
        source: the data set that the runs were trained on, for `data.source`.
        device: as for `predict`.
        command: the command line, for the record.

    Raises:
        RecipeError: the runs are fewer than two, or not runs of one recipe from one head.
        ArtifactError, DataError, TeacherError: a model, the texts or the teacher cannot be used.
        OutputError: *out* is one of the runs.
    """
    for run in runs:
        refuse_source(out, run)
    made = [artifact.load(run) for run in runs]
    recipes = _check_same_recipe(runs, made)
    texts = read_texts(recipes[0].data.model_copy(update={"source": source}), recipes[0].distillation)
    for run, model in zip(runs, made, strict=True):
        if model.training["data"]["train_sha256"] != texts.annotated.sha256:
            raise RecipeError(f"{run} was trained on other texts than {source}; name its data set: --data DATA")
    first, record = made[0], made[0].training
    mean = DistilBertCNN(first.config)
    mean.load_state_dict(
        {name: torch.stack([torch.tensor(model.weights[name]) for model in made]).mean(dim=0) for name in first.weights}
    )
    recipe = recipes[0].model_copy(update={"run": recipes[0].run.model_copy(update={"device": device})})
    out.mkdir(parents=True, exist_ok=True)
    return export(
        mean,
        first.tokenizer,
        out,
        train=texts.annotated,
        dev=TokenizedSplit.of(texts.dev, Tokens(first.tokenizer, max_tokens=first.config.max_tokens)),
        held_out=None if texts.teacher is None else find_held_out(texts.teacher, texts.annotated),
        recipe=recipe,
        name=recipe.run.name or out.resolve().name,
        record={
            "command": command,
            **{key: record[key] for key in ("encoder", "continued_from", "preset", "teachers")},
            "recipe": recipe.model_dump(),
            "mean_of": [_describe(model) for model in made],
        },
    )


def _check_same_recipe(runs: Sequence[Path], made: Sequence[Artifact]) -> list[Recipe]:
    """Return the recipe of each run.

    Raises:
        RecipeError: a mean of these models is not a model.
    """
    if len(runs) < 2:
        raise RecipeError("a mean needs two models or more: emotag-train average RUN RUN … --out DIR")
    for run, model in zip(runs, made, strict=True):
        if "mean_of" in model.training:
            raise RecipeError(f"{run} is a mean of runs itself; name these runs")
        if not model.training.get("recipe", {}).get("head", {}).get("continued"):
            raise RecipeError(f"{run} started with a head of its own; only runs with head.continued = true have a mean")
    recipes = [Recipe(**model.training["recipe"]) for model in made]
    for run, model, recipe in zip(runs, made, recipes, strict=True):
        if _identify(model, recipe) != _identify(made[0], recipes[0]):
            raise RecipeError(
                f"{run} and {runs[0]} differ in more than their seed: their recipe or the model they continue"
            )
    if len({recipe.run.seed for recipe in recipes}) < len(recipes):
        raise RecipeError("two of the runs have the same seed, so they are the same model; use different seeds")
    return recipes


def _identify(model: Artifact, recipe: Recipe) -> tuple[object, ...]:
    """Return what runs must have in common."""
    flat = {key: value for key, value in recipe.flatten().items() if key not in CHOSEN}
    return model.config, model.tokenizer.to_str(), model.training["continued_from"], flat


def _describe(model: Artifact) -> dict[str, Any]:
    record = model.training
    kept = ("seed", "minutes", "examples_per_s", "best_epoch", "epochs")
    return {"version": model.version, **{key: record[key] for key in kept}}
