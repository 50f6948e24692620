"""A trained model as an artifact: written by its run, or copied with its weights at another precision."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from model import artifact
from model.artifact import Artifact
from model.device import processor
from model.distilbert_cnn import DistilBertCNN
from model.thresholds import Thresholds
from model.weights import DTYPES, Array

from .card import card
from .data import Split
from .recipe import FILE as RECIPE
from .teacher import FILE as TEACHER
from .tune import calibrate, tune

MADE_WITH = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def export(
    model: DistilBertCNN,
    tokenizer: Tokenizer,
    path: Path,
    *,
    train: Split,
    dev: Split,
    name: str,
    calibrated: bool,
    threshold_policy: str,
    record: Mapping[str, Any],
    recipe: str,
) -> dict[str, Any]:
    """Write the artifact at *path*, a directory; the figures are those of the weights as stored, rounding included.

    What was there stays as it is until everything is computed: an artifact, or what a run left that only teaches.

    Args:
        recipe: the text of its recipe's file.

    Returns:
        The figures on dev, as written to metrics.json.
    """
    model = model.cpu()
    stored = {key: tensor.half().float() for key, tensor in model.state_dict().items()}
    model.load_state_dict(stored)
    training = {**record, "data": {"train_sha256": train.sha256, "dev_sha256": dev.sha256}, "versions": versions()}
    untuned = Artifact(
        name, model.config, model.weights(), tokenizer, Thresholds.fixed(model.config.labels, 0.5), {}, training
    )
    untuned = replace(untuned, weights_dtype=DTYPES["fp16"])  # which is what `save` stores
    made = tune(calibrate(untuned, dev) if calibrated else untuned, dev, threshold_policy, shared_with=train)
    (path / TEACHER).unlink(missing_ok=True)  # `teach` would take it for this one's
    (path / RECIPE).write_text(recipe, encoding="utf-8")
    artifact.save(made, path, card=card(made))
    figures: dict[str, Any] = made.metrics["dev"]
    return figures


def convert(source: Path, path: Path, *, dtype: str, name: str = "") -> None:
    """Write a checked copy of the artifact at *source*, its weights in *dtype*, with a card of its own.

    Its figures are the source's. Where *dtype* cannot hold the weights as they are, figures and card say with which
    weights they were measured: to measure the copy takes data, which whoever copies need not have.

    Raises:
        ArtifactError: the source is none.
        OSError: the copy cannot be written.
        ValueError: the copy would replace its source.
    """
    if path.resolve() == source.resolve():
        raise ValueError(f"{path} is the model itself; --out has to name another directory")
    trained = artifact.load(source)
    # A second rounding changes nothing in what was measured before the first.
    if rounds(trained.weights, dtype) and "measured_with" not in trained.metrics:
        measured_with = f"{trained.weights_dtype} weights, before they were rounded to {DTYPES[dtype]}"
        trained = replace(trained, metrics={**trained.metrics, "measured_with": measured_with})
    copied = replace(trained, name=name or trained.name)
    artifact.save(copied, path, card=card(copied), dtype=dtype)


def rounds(weights: Mapping[str, Array], dtype: str) -> bool:
    """Whether any weight is another one once it is stored as *dtype*."""
    tensors = map(torch.from_numpy, weights.values())
    return not all(torch.equal(tensor, tensor.to(getattr(torch, DTYPES[dtype])).float()) for tensor in tensors)


def versions() -> dict[str, str]:
    """What the run was made with: Python, libraries, processor."""
    found = {package: importlib.metadata.version(package) for package in MADE_WITH}
    return {"python": platform.python_version(), **found, "processor": processor()}
