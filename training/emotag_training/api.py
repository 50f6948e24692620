"""The public Python API: one function. Its imports are inside: `emotag-train --help` does not wait for torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emotag_model.artifact import Artifact
    from emotag_training.recipe import Recipe


def fit(
    data: str | os.PathLike[str],
    recipe: "Recipe | Mapping[str, object] | None" = None,
    *,
    out: str | os.PathLike[str],
) -> "Artifact":
    """Train a model, write it to a directory, and return it.

        from emotag_model import EmotionTagger
        from emotag_training import fit

        trained = fit("tickets.csv", {"data.text_column": "body", "schedule.epochs": 10}, out="runs/tickets")
        print(trained.metrics["dev"]["macro_f1_cross_validated"])
        tagger = EmotionTagger.load("runs/tickets")

    The progress is printed to stderr. Ctrl-C writes a checkpoint, which `emotag-train fit --resume` continues.
    Outside the main thread, Ctrl-C does not stop the run: there, Python handles no signals.

    Args:
        data: what `--data` takes: one file, a folder with train and dev, `datasets:NAME` or `goemotions`.
        recipe: a whole recipe, or the keys that differ from the preset `default`; docs/train.md explains every key.
            *data* replaces the key `data.source`.
        out: the directory of the model. An existing model in it is replaced at the end.

    Returns:
        The artifact in *out*: weights, tokenizer, thresholds, and in `metrics["dev"]` the figures on dev.

    Raises:
        TrainingError: the data, the recipe or the encoder cannot be used, or the run was interrupted; see `errors`.
        emotag_model.ModelError: the device is unknown.
        OSError: the directory cannot be written.
    """
    from rich.console import Console

    from emotag_model import artifact
    from emotag_training import run
    from emotag_training.errors import RecipeError
    from emotag_training.presets import apply_changes, resolve
    from emotag_training.recipe import Recipe

    base = recipe if isinstance(recipe, Recipe) else resolve(None, None, recipe or {})
    complete = apply_changes(base, {"data.source": os.fspath(data)})
    if complete.data.fold:
        raise RecipeError(f"data.fold = {complete.data.fold!r}: such a run writes no model; use `emotag-train fit`")
    folder = Path(out)
    command = ("fit", "--config", str(folder / "recipe.toml"), "--out", str(folder))
    console = Console(stderr=True)
    run.train(complete, folder, command=command, resume=False, trackers=(), console=console, needs_artifact=True)
    return artifact.load(folder)
