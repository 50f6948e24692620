"""A trained model as an artifact: thresholds, figures, provenance and card, all written by the run."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from model import artifact
from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN
from model.thresholds import Thresholds
from model.tokens import Tokens

from .data import Split, shared_rows
from .fit import probabilities
from .metrics import CROSS_FIT_SPLITS, best_f1_thresholds, report

MEASURED_WITH = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")


def tune(probabilities_NK: npt.NDArray[np.float32], dev: Split, policy: str) -> Thresholds:
    """Thresholds by policy: `f1`, the best of each label on *dev*, or `fixed:t`.

    Raises:
        ValueError: the policy is unknown.
    """
    kind, _, value = policy.partition(":")
    if kind == "f1" and not value:
        values = best_f1_thresholds(probabilities_NK, dev.targets_NK)
        return Thresholds(dev.labels, tuple(round(float(t), 4) for t in values), "f1", dev.sha256)
    if kind == "fixed" and value:
        return Thresholds.fixed(dev.labels, float(value))
    raise ValueError(f"threshold policy {policy!r} is unknown; it takes f1 or fixed:T with T in (0, 1]")


def evaluate(trained: Artifact, split: Split, *, shared_with: Split | None = None) -> dict[str, Any]:
    """All figures of an artifact on *split*, by the reference forward in float32.

    Args:
        shared_with: the training split; where given, the figures without the texts that stand in both are added.

    Raises:
        ValueError: the split has other labels than the artifact.
    """
    if split.labels != trained.model.config.labels:
        raise ValueError("the data set has other labels than the artifact")
    tokens = Tokens(trained.tokenizer, max_tokens=trained.model.config.max_tokens)
    probabilities_NK = probabilities(trained.model, tokens(split.texts), device=torch.device("cpu"))
    figures = report(probabilities_NK, split.targets_NK, trained.thresholds.values, split.labels)
    figures["data_sha256"] = split.sha256
    if shared_with is not None:
        kept = np.setdiff1d(np.arange(len(split)), shared_rows(split, shared_with))
        apart = report(probabilities_NK[kept], split.targets_NK[kept], trained.thresholds.values, split.labels)
        figures["without_texts_shared_with_train"] = {
            name: apart[name] for name in ("texts", "macro_f1_cross_fitted", "roc_auc", "mean_average_precision")
        }
    return figures


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
    tokens = Tokens(tokenizer, max_tokens=model.config.max_tokens)
    probabilities_NK = probabilities(model, tokens(dev.texts), device=torch.device("cpu"))
    thresholds = tune(probabilities_NK, dev, threshold_policy)
    training = {**record, "data": {"train_sha256": train.sha256, "dev_sha256": dev.sha256}, "versions": versions()}
    made = Artifact(name, model, tokenizer, thresholds, {}, training)
    metrics = {"dev": evaluate(made, dev, shared_with=train)}
    made = Artifact(name, model, tokenizer, thresholds, metrics, training)
    artifact.save(made, path, card=card(made))
    return metrics["dev"]


def versions() -> dict[str, str]:
    """What the run was made with: Python, libraries, processor."""
    found = {package: importlib.metadata.version(package) for package in MEASURED_WITH}
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


def card(made: Artifact) -> str:
    """The model card, in the Hugging Face format; every figure comes from the artifact's metrics."""
    figures, data = made.metrics["dev"], made.training["data"]
    config = made.model.config
    parameters = sum(parameter.numel() for parameter in made.model.parameters()) / 1e6
    rows = _table(
        ("label", "texts on dev", "threshold", "precision", "recall", "F1", "average precision"),
        [
            (label, r["support"], r["threshold"], r["precision"], r["recall"], r["f1"], r["average_precision"])
            for label, r in figures["per_label"].items()
        ],
    )
    apart = figures["without_texts_shared_with_train"]
    return f"""---
license: apache-2.0
language: en
library_name: emotag
pipeline_tag: text-classification
datasets: [google-research-datasets/go_emotions]
metrics: [f1, roc_auc, matthews_correlation]
---

# {made.name}

A DistilBERT encoder ({config.n_layers} layers, {config.dim} wide, from `{made.training["trunk"]}`) with a convolution
over its tokens, {parameters:.1f} M parameters, that gives an English text any of {len(config.labels)} emotions. It reads the first {config.max_tokens} tokens.

## Figures on GoEmotions dev ({figures["texts"]:,} texts)

| figure | value |
|---|---|
| macro F1, thresholds tuned on one half and scored on the other, {CROSS_FIT_SPLITS} splits | {figures["macro_f1_cross_fitted"]:.4f} ± {figures["macro_f1_cross_fitted_std"]:.4f} |
| ROC-AUC, macro | {figures["roc_auc"]:.4f} |
| mean average precision | {figures["mean_average_precision"]:.4f} |
| MCC over all decisions, threshold 0.51 | {figures["at_0.51"]["mcc_flattened"]:.4f} |
| macro F1 at 0.51 | {figures["at_0.51"]["macro_f1"]:.4f} |
| macro F1 without the texts that also stand in train ({figures["texts"] - apart["texts"]} of them) | {apart["macro_f1_cross_fitted"]:.4f} |

One seed ({made.training["seed"]}). The thresholds below were tuned on these same rows, so the columns that depend on
them (precision, recall, F1) read higher than on new texts; the first row of the table above is the honest figure.

{rows}

## How it was made

```
{made.training["command"]}
```

Training data: GoEmotions train (Demszky et al. 2020, CC BY 4.0), sha256 `{data["train_sha256"]}`; dev sha256 `{data["dev_sha256"]}`.
Recipe, epochs and versions: `training.json`. All figures: `metrics.json`.

## What it should not be used for

It judges how a short English text reads, not how a person feels. It learnt from Reddit comments of 2005 to 2019, with
their slang, their slurs and their raters (all from India). Do not use it to decide about people, nor on languages other
than English. Rare labels (grief, relief, pride, nervousness, embarrassment) had 77 to 303 training texts and are weak.
"""


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
