"""Write a trained model as an artifact, or copy an artifact with its weights in another format."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.device import describe_processor
from emotag_model.thresholds import Thresholds
from emotag_model.weights import DTYPES, Array
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.distillation.teacher import FILE as TEACHER
from emotag_training.errors import OutputError
from emotag_training.evaluation.thresholds import HeldOut
from emotag_training.evaluation.tuning import calibrate, tune
from emotag_training.recipe import FILE as RECIPE
from emotag_training.recipe import Recipe
from emotag_training.report.card import render_card

MADE_WITH = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def export(
    model: DistilBertCNN,
    tokenizer: Tokenizer,
    path: Path,
    *,
    train: Split,
    dev: TokenizedSplit,
    held_out: HeldOut | None,
    recipe: Recipe,
    name: str,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the artifact at *path*, a directory; its figures are those of the weights as stored, rounding included.

    Files that are already in the directory stay as they are until everything is computed.

    Args:
        train: all training texts with the annotators' labels.
        held_out: as for `choose_thresholds`.
        recipe: with the device resolved; written next to the artifact, and decides about calibration and thresholds.
        record: of the run, for training.json.

    Returns:
        The figures on dev, as written to metrics.json.
    """
    model = model.cpu()
    stored = {key: tensor.half().float() for key, tensor in model.state_dict().items()}
    model.load_state_dict(stored)
    training = {
        **record,
        "data": {"train_sha256": train.sha256, "dev_sha256": dev.split.sha256},
        "versions": read_versions(),
    }
    untuned = Artifact(
        name, model.config, model.weights(), tokenizer, Thresholds.fixed(model.config.labels, 0.5), {}, training
    )
    # `save` stores this dtype.
    untuned = replace(untuned, languages=recipe.data.language_codes, weights_dtype=DTYPES["fp16"])
    device = recipe.run.device
    calibrated = calibrate(untuned, dev, device=device) if recipe.run.calibrate else untuned
    made = tune(calibrated, dev, recipe.run.threshold, held_out=held_out, shared_with=train, device=device)
    (path / TEACHER).unlink(missing_ok=True)  # `distill` would take an old one for this model's
    (path / RECIPE).write_text(recipe.toml(), encoding="utf-8")
    artifact.save(made, path, card=render_card(made))
    figures: dict[str, Any] = made.metrics["dev"]
    return figures


def convert(source: Path, path: Path, *, dtype: str, name: str = "") -> None:
    """Write a verified copy of the artifact at *source*, its weights in *dtype*, with a new card.

    The figures are copied, because measuring the copy needs data. If *dtype* rounds the weights, figures and card say
    with which weights they were measured.

    Raises:
        ArtifactError: the source is not an artifact.
        OSError: the copy cannot be written.
        OutputError: the copy would replace its source.
    """
    refuse_source(path, source)
    trained = artifact.load(source)
    # A second rounding changes nothing in what was measured before the first.
    if is_rounded(trained.weights, dtype) and "measured_with" not in trained.metrics:
        measured_with = f"{trained.weights_dtype} weights, before they were rounded to {DTYPES[dtype]}"
        trained = replace(trained, metrics={**trained.metrics, "measured_with": measured_with})
    copied = replace(trained, name=name or trained.name)
    artifact.save(copied, path, card=render_card(copied), dtype=dtype)


def refuse_source(out: Path, model: Path) -> None:
    """Raise `OutputError` if *out* is the directory of *model*: no command may overwrite the model it reads."""
    if out.resolve() == model.resolve():
        raise OutputError(f"cannot write to --out {out}: it is the model itself; name another directory")


def is_rounded(weights: Mapping[str, Array], dtype: str) -> bool:
    """Return True if any weight changes when it is stored as *dtype*."""
    tensors = map(torch.from_numpy, weights.values())
    return not all(torch.equal(tensor, tensor.to(getattr(torch, DTYPES[dtype])).float()) for tensor in tensors)


def read_versions() -> dict[str, str]:
    """Return the versions of Python and the libraries, and the processor."""
    found = {package: importlib.metadata.version(package) for package in MADE_WITH}
    return {"python": platform.python_version(), **found, "processor": describe_processor()}
