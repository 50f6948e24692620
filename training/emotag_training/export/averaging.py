"""The mean of the weights of several runs: one model, as fast as each of them, and usually better than most.

The runs have to start from the same weights, as runs that continue from one artifact do, and differ in their seed.

Source: Wortsman et al. 2022, "Model soups" (arXiv:2203.05482).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import Tokens
from emotag_training.data.split import TokenizedSplit
from emotag_training.distillation.teacher import find_held_out
from emotag_training.errors import RecipeError
from emotag_training.presets import resolve
from emotag_training.recipe import FILE as RECIPE
from emotag_training.texts import read_texts

from .artifact_writer import export, refuse_source

KEPT = ("encoder", "continued_from", "preset", "recipe", "teachers")
"""Parts of the first run's record that hold for the mean too."""


def average(models: Sequence[Path], out: Path, *, command: str, device: str) -> dict[str, Any]:
    """Write the mean of artifacts to *out*, calibrated and with thresholds as the first one's recipe says.

    Args:
        models: directories that `fit` wrote, at least two. Their recipes name the texts.
        command: what repeats this, for the record.
        device: as for `predict`.

    Returns:
        The figures on dev.

    Raises:
        ArtifactError: a directory is not an artifact.
        RecipeError: the models cannot be averaged, or a directory has no recipe.
        DataError, TeacherError: the texts of the recipe cannot be used.
    """
    for model in models:
        refuse_source(out, model)
    made = [artifact.load(model) for model in models]
    _check(models, made)
    recipe = resolve(None, models[0] / RECIPE, {"run.device": device})
    first = made[0]
    weights = {name: np.mean([each.weights[name] for each in made], axis=0) for name in first.weights}
    texts = read_texts(recipe.data, recipe.distillation)
    tokens = Tokens(first.tokenizer, max_tokens=first.config.max_tokens)
    record = {
        "command": command,
        **{key: first.training[key] for key in KEPT if key in first.training},
        "averaged": [_describe(each) for each in made],
    }
    out.mkdir(parents=True, exist_ok=True)
    return export(
        DistilBertCNN.of(first.config, weights),
        first.tokenizer,
        out,
        train=texts.annotated,
        dev=TokenizedSplit.of(texts.dev, tokens),
        held_out=None if texts.teacher is None else find_held_out(texts.teacher, texts.annotated),
        recipe=recipe,
        name=recipe.run.name or out.resolve().name,
        record=record,
    )


def _check(paths: Sequence[Path], made: Sequence[Artifact]) -> None:
    """Raise `RecipeError` unless the models are several, alike, and different."""
    if len({each.version for each in made}) < max(2, len(made)):
        raise RecipeError("an average needs at least two models, and none of them twice")
    for path, each in zip(paths, made, strict=True):
        if each.config != made[0].config or each.tokenizer.to_str() != made[0].tokenizer.to_str():
            raise RecipeError(
                f"{path} has another shape, other labels or another vocabulary than {paths[0]}: average runs of one"
                " recipe that differ in their seed"
            )
        if each.training.get("continued_from") != made[0].training.get("continued_from"):
            raise RecipeError(f"{path} and {paths[0]} started from different weights, so their mean is no model")
        if "continued_from" not in each.training:
            raise RecipeError(
                f"{path} started from an untrained head, which differs by seed: train all runs from one model, with"
                " encoder.name as the folder of that model"
            )


def _describe(made: Artifact) -> dict[str, Any]:
    kept = ("seed", "minutes", "examples_per_s", "best_epoch", "epochs", "command", "versions")
    return {"version": made.version, **{key: made.training[key] for key in kept if key in made.training}}
