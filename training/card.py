"""The model card: what a trained model is, what it is worth and how it was made, from the artifact alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.artifact import Artifact

from .metrics import CROSS_FIT_SPLITS


def card(made: Artifact) -> str:
    """The model card, in the Hugging Face format; every figure comes from the artifact's metrics.

    What the training record does not say is left out: a model from elsewhere may have none.
    """
    figures, record = made.metrics["dev"], made.training
    config = made.config
    parameters = sum(values.size for values in made.weights.values()) / 1e6
    rows = _table(
        ("label", "texts on dev", "threshold", "precision", "recall", "F1", "average precision"),
        [
            (label, r["support"], r["threshold"], r["precision"], r["recall"], r["f1"], r["average_precision"])
            for label, r in figures["per_label"].items()
        ],
    )
    trunk = f", from `{record['trunk']}`" if "trunk" in record else ""
    return f"""---
license: apache-2.0
language: en
library_name: emotag
pipeline_tag: text-classification
datasets: [google-research-datasets/go_emotions]
metrics: [f1, roc_auc, matthews_correlation]
---

# {made.name}

A DistilBERT encoder ({config.n_layers} layers, {config.dim} wide{trunk}) with a convolution
over its tokens, {parameters:.1f} M parameters, that gives an English text any of {len(config.labels)} emotions. It reads the first {config.max_tokens} tokens.

## Figures on GoEmotions dev ({figures["texts"]:,} texts)

| figure | value |
|---|---|
| macro F1, thresholds tuned on one half and scored on the other, {CROSS_FIT_SPLITS} splits | {figures["macro_f1_cross_fitted"]:.4f} ± {figures["macro_f1_cross_fitted_std"]:.4f} |
| ROC-AUC, macro | {figures["roc_auc"]:.4f} |
| mean average precision | {figures["mean_average_precision"]:.4f} |
| MCC over all decisions, threshold 0.51 | {figures["at_0.51"]["mcc_flattened"]:.4f} |
| macro F1 at 0.51 | {figures["at_0.51"]["macro_f1"]:.4f} |{_shared_row(figures)}

{_reservation(made)}

{rows}

## How it was made

{_origin(made)}

## What it should not be used for

It judges how a short English text reads, not how a person feels. It learnt from Reddit comments of 2005 to 2019, with
their slang, their slurs and their raters (all from India). Do not use it to decide about people, nor on languages other
than English. Rare labels (grief, relief, pride, nervousness, embarrassment) had 77 to 303 training texts and are weak.
"""


def _shared_row(figures: Mapping[str, Any]) -> str:
    apart = figures.get("without_texts_shared_with_train")
    if apart is None:  # measured where the training texts were not at hand
        return ""
    shared = figures["texts"] - apart["texts"]
    return f"\n| macro F1 without the texts that also stand in train ({shared} of them) | {apart['macro_f1_cross_fitted']:.4f} |"


def _reservation(made: Artifact) -> str:
    """How far the figures can be trusted."""
    seed = f"One seed ({made.training['seed']}). " if "seed" in made.training else ""
    if made.thresholds.data_sha256 != made.metrics["dev"]["data_sha256"]:
        return f"{seed}The thresholds below (`{made.thresholds.policy}`) were not tuned on these rows."
    return f"""{seed}The thresholds below were tuned on these same rows, so the columns that depend on
them (precision, recall, F1) read higher than on new texts; the first row of the table above is the honest figure."""


def _origin(made: Artifact) -> str:
    """Command and data, as far as the training record has them."""
    record = made.training
    command = f"```\n{record['command']}\n```\n\n" if "command" in record else ""
    train_sha256 = record.get("data", {}).get("train_sha256")
    train = (
        f"GoEmotions train (Demszky et al. 2020, CC BY 4.0), sha256 `{train_sha256}`"
        if train_sha256
        else "not on record"
    )
    recipe = "Recipe, epochs and versions: `training.json`. " if record else ""
    return f"""{command}Training data: {train}; dev sha256 `{made.metrics["dev"]["data_sha256"]}`.
{recipe}All figures: `metrics.json`."""


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
