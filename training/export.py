"""A trained model as an artifact: thresholds, figures, provenance and card, all written by the run."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model import artifact
from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN
from model.thresholds import Thresholds

from .card import card
from .data import Split
from .tune import tune

MADE_WITH = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def export(
    model: DistilBertCNN,
    tokenizer: Tokenizer,
    path: Path,
    *,
    train: Split,
    dev: Split,
    name: str,
    threshold_policy: str,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the artifact at *path*; the figures are those of the weights as stored, rounding included.

    Returns:
        The figures on dev, as written to metrics.json.
    """
    model = model.cpu()
    stored = {key: tensor.half().float() for key, tensor in model.state_dict().items()}
    model.load_state_dict(stored)
    training = {**record, "data": {"train_sha256": train.sha256, "dev_sha256": dev.sha256}, "versions": versions()}
    untuned = Artifact(name, model, tokenizer, Thresholds.fixed(model.config.labels, 0.5), {}, training)
    made = tune(untuned, dev, threshold_policy, shared_with=train)
    artifact.save(made, path, card=card(made))
    figures: dict[str, Any] = made.metrics["dev"]
    return figures


def versions() -> dict[str, str]:
    """What the run was made with: Python, libraries, processor."""
    found = {package: importlib.metadata.version(package) for package in MADE_WITH}
    return {"python": platform.python_version(), **found, "processor": processor()}


def processor() -> str:
    """The processor's model name and the instructions that matter to the figures of speed."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(named.get("flags", "").split())
    matrix = [flag for flag in ("amx_bf16", "amx_int8", "avx512_vnni", "avx512_bf16", "avx2") if flag in flags]
    return f"{named.get('model name', platform.machine())} ({', '.join(matrix)})"
