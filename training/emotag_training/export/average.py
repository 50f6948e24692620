"""One model from several runs of one recipe: the mean of their weights, calibrated and tuned like a run of its own.

The runs differ in their seed and continue one head (`head.continued`). Runs that started with untrained heads have no
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
from emotag_training.distillation.teacher import find_held_out, load_teacher
from emotag_training.errors import RecipeError
from emotag_training.presets import AUTOMATIC, apply_changes, resolve
from emotag_training.recipe import FILE as RECIPE
from emotag_training.recipe import DistillationSection, Recipe
from emotag_training.record import read_section
from emotag_training.texts import read_texts

from .artifact_writer import export, refuse_source

MAY_DIFFER = ("run.seed", "run.name", *AUTOMATIC, "data.source", "encoder.name")
"""Keys in which the runs of one recipe can differ. Texts, and the model that they continue, are compared by hashes."""


def average(runs: Sequence[Path], out: Path, *, source: str, device: str, command: str) -> dict[str, Any]:
    """Write the mean of the models in *runs* to *out*, and return its figures on dev.

    Args:
        source: the data set that the runs were trained on, for `data.source`.
        device: as for `predict`.
        command: the command line, for the record.

    Raises:
        RecipeError: the runs do not have one recipe, or do not continue one model.
        ArtifactError, DataError, TeacherError: a model, the texts or the teacher cannot be used.
        OutputError: *out* is one of the runs.
    """
    for run in runs:
        refuse_source(out, run)
    made = [artifact.load(run) for run in runs]
    recipe = apply_changes(
        _find_common_recipe(runs, made), {"data.source": source, "run.device": device, "run.best_of_seeds": 1}
    )
    texts = read_texts(recipe.data, DistillationSection())
    for run, model in zip(runs, made, strict=True):
        if model.training["data"]["train_sha256"] != texts.annotated.sha256:
            raise RecipeError(f"{run} was trained on other texts than {source}; name its data set: --data DATA")
    teacher = load_teacher(Path(recipe.distillation.teacher)) if recipe.distillation.teacher else None
    first, record = made[0], made[0].training
    mean = DistilBertCNN(first.config)
    mean.load_state_dict(
        {name: torch.stack([torch.tensor(model.weights[name]) for model in made]).mean(dim=0) for name in first.weights}
    )
    out.mkdir(parents=True, exist_ok=True)
    return export(
        mean,
        first.tokenizer,
        out,
        train=texts.annotated,
        dev=TokenizedSplit.of(texts.dev, Tokens(first.tokenizer, max_tokens=first.config.max_tokens)),
        held_out=None if teacher is None else find_held_out(teacher, texts.annotated),
        recipe=recipe,
        name=recipe.run.name or out.resolve().name,
        record={
            "command": command,
            **{key: record[key] for key in ("encoder", "continued_from", "preset", "teachers")},
            "recipe": recipe.model_dump(),
            "mean_of": [_describe(model) for model in made],
        },
    )


def _find_common_recipe(runs: Sequence[Path], made: Sequence[Artifact]) -> Recipe:
    """Return the recipe of the first run.

    Raises:
        RecipeError: the models cannot be averaged.
    """
    for run, model in zip(runs, made, strict=True):
        if "mean_of" in model.training:
            raise RecipeError(f"{run} is a mean of runs; name the runs that it was made from")
        if not read_section(model.training, "recipe", "head").get("continued"):
            raise RecipeError(f"{run} started with an untrained head; only runs with head.continued = true have a mean")
    recipes = [resolve(None, run / RECIPE, {}) for run in runs]
    first = recipes[0].flatten()
    for run, model, recipe in zip(runs[1:], made[1:], recipes[1:], strict=True):
        differ = [key for key, value in recipe.flatten().items() if key not in MAY_DIFFER and first[key] != value]
        if differ:
            raise RecipeError(
                f"{run} and {runs[0]} have different recipes: {', '.join(differ)}; only the seed may differ"
            )
        ours, theirs = model.training["continued_from"], made[0].training["continued_from"]
        if ours != theirs:
            raise RecipeError(f"{run} continues {ours}, and {runs[0]} continues {theirs}: such models have no mean")
    if len({recipe.run.seed for recipe in recipes}) < len(recipes):
        raise RecipeError("two of the runs have the same seed, so they are the same model; use different seeds")
    return recipes[0]


def _describe(model: Artifact) -> dict[str, Any]:
    record = model.training
    kept = ("seed", "minutes", "examples_per_s", "best_epoch", "epochs")
    return {"version": model.version, **{key: record[key] for key in kept}}
