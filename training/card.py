"""The model card: what a trained model is, what it is worth and how it was made, from the artifact alone."""

import json
from collections.abc import Mapping
from typing import Any

from model.artifact import Artifact
from schemas.labels import LABELS

from . import tables
from .failures import MOST_CHARACTERS, OF_EACH_KIND
from .metrics import CROSS_FIT_SPLITS
from .slices import SAID_IN_BOTH, SENTENCES
from .tables import between, markdown, shown

LANGUAGE = "language: en\n"
DATA_SET = "datasets: [google-research-datasets/go_emotions]\n"

OF_EMOTIONS = """\
It judges how a short English text reads, not how a person feels. It learnt from Reddit comments of 2005 to 2019, with
their slang, their slurs and their raters (all from India). Do not use it to decide about people, nor on languages other
than English. Rare labels (grief, relief, pride, nervousness, embarrassment) had 77 to 303 training texts and are weak.
"""
OF_OTHERS = """\
It has learnt from the texts named above and from no others: of a text unlike them, and of a label that few of them have,
it says little. Do not use it to decide about people.
"""


def card(made: Artifact) -> str:
    """The model card, in the Hugging Face format; every figure comes from the artifact's metrics.

    What the training record does not say is left out: a model from elsewhere may have none. What is true of GoEmotions
    alone, its raters and its emotions, is said of a model that has its 28 labels.
    """
    figures, record = made.metrics["dev"], made.training
    config, calibration, sure = made.config, figures["calibration"], figures["intervals"]
    parameters = sum(values.size for values in made.weights.values()) / 1e6
    rows = markdown(
        (
            "label",
            "texts on dev",
            "threshold",
            "precision",
            "recall",
            "F1",
            "95 % of F1",
            "average precision",
            "calibration error",
        ),
        [
            (
                label,
                r["support"],
                round(r["threshold"], 4),
                r["precision"],
                r["recall"],
                r["f1"],
                between(r["f1_interval"]),
                shown(r["average_precision"]),
                calibration["as_is"]["per_label"][label],
            )
            for label, r in figures["per_label"].items()
        ],
    )
    of_emotions = config.labels == LABELS
    gives = (
        f"an English text any of {len(config.labels)} emotions"
        if of_emotions
        else f"a text any of {len(config.labels)} labels"
    )
    trunk = f", from `{record['trunk']}`" if "trunk" in record else ""
    return f"""---
license: apache-2.0
{LANGUAGE if of_emotions else ""}library_name: emotag
pipeline_tag: text-classification
{DATA_SET if of_emotions else ""}metrics: [f1, roc_auc, matthews_correlation]
{_model_index(made)}
---

# {made.name}

A DistilBERT encoder ({config.n_layers} layers, {config.dim} wide{trunk}) with a convolution
over its tokens, {parameters:.1f} M parameters, that gives {gives}. It reads the first {config.max_tokens} tokens.

## Figures on {"GoEmotions dev" if of_emotions else "dev"} ({figures["texts"]:,} texts)

| figure | value | 95 % interval |
|---|---|---|
| macro F1, thresholds tuned on one half and scored on the other, {CROSS_FIT_SPLITS} splits | {figures["macro_f1_cross_fitted"]:.4f} ± {figures["macro_f1_cross_fitted_std"]:.4f} | {between(sure["macro_f1_cross_fitted"])} |
| macro F1 at the thresholds below | {figures["own_thresholds"]["macro_f1"]:.4f} | {between(sure["macro_f1_own_thresholds"])} |
| ROC-AUC, macro | {shown(figures["roc_auc"])} | {between(sure["roc_auc"])} |
| mean average precision | {shown(figures["mean_average_precision"])} | {between(sure["mean_average_precision"])} |
| MCC over all decisions, threshold 0.51 | {figures["at_0.51"]["mcc_flattened"]:.4f} | {between(sure["mcc_flattened_at_0.51"])} |
| macro F1 at 0.51 | {figures["at_0.51"]["macro_f1"]:.4f} | |{_shared_row(figures)}

Intervals: bootstrap over texts, {sure["resamples"]:,} resamples, percentiles. They do not cover what training anew would change.

{_reservation(made)}

{rows}

## Calibration

Expected calibration error of a label, {calibration["bins"]} bins of equally many texts: {calibration["as_is"]["mean"]:.4f} on average,
{calibration["as_is"]["largest"]:.4f} for the worst label. {_calibrated(made)}

{_slices(figures)}
{_failures(figures)}
## How it was made

{_origin(made)}

## What it should not be used for

{OF_EMOTIONS if of_emotions else OF_OTHERS}"""


def _shared_row(figures: Mapping[str, Any]) -> str:
    apart = figures.get("without_texts_shared_with_train")
    if apart is None:  # measured where the training texts were not at hand
        return ""
    shared = figures["texts"] - apart["texts"]
    return f"\n| macro F1 without the texts that also stand in train ({shared} of them) | {apart['macro_f1_cross_fitted']:.4f} | |"


def _slices(figures: Mapping[str, Any]) -> str:
    """Kinds of texts; and what is negative by mistake, for a model that has a negative emotion to give."""
    parts = ["## Where it is better and worse", "At the thresholds of the table of labels."]
    if not tables.gives_negative(figures):
        return "\n\n".join([*parts, markdown(*tables.kinds(figures))])
    parts[-1] += " The last column counts the texts that nobody called negative and that are given a negative emotion."
    parts += [
        markdown(*tables.kinds(figures)),
        f'Plain sentences such as "My neighbour is a Muslim.", {len(SENTENCES)} about each kind of people; the share of them that is given a negative emotion:',
        markdown(*tables.people(figures)),
    ]
    varieties = tables.varieties(figures)
    if varieties is not None:
        parts += [
            f'The same for {len(SAID_IN_BOTH)} everyday facts, each said in two varieties of English ("{SAID_IN_BOTH[0][0]}", "{SAID_IN_BOTH[0][1]}"):',
            markdown(*varieties),
        ]
    return "\n\n".join(parts)


def _failures(figures: Mapping[str, Any]) -> str:
    """Texts that it gets most wrong, where there are any to show: nothing but GoEmotions' own."""
    found = tables.failures(figures)
    if found is None:
        return ""
    return f"""
## Examples of failures

Dev texts of at most {MOST_CHARACTERS} characters, from GoEmotions (Demszky et al. 2020, CC BY 4.0): at most {OF_EACH_KIND} labels that it gave and
its raters did not agree on, of the highest probability, then as many that it missed, of the lowest; each label and each text
once. Some of these mistakes are rather the raters'. The texts are shown as they stand in the data set; some may offend.

{markdown(*found)}
"""


def _calibrated(made: Artifact) -> str:
    """What calibration has done, or would."""
    found, done = made.metrics["dev"]["calibration"], made.training.get("calibration")
    if done is None:
        after = found["platt_cross_fitted"]
        return f"""Its scores are as they were learnt. Platt scaling
(`emotag-train tune --calibrate`), cross-fitted, leaves {after["mean"]:.4f} and {after["largest"]:.4f}."""
    if done["data_sha256"] == made.metrics["dev"]["data_sha256"]:
        return "Platt scaling is folded into\nits last layer; it was fitted on these same texts, so the errors read lower than on new ones."
    return "Platt scaling is folded into\nits last layer; it was fitted on other texts."


def _model_index(made: Artifact) -> str:
    """The figures as the Hugging Face hub reads them: https://huggingface.co/docs/hub/model-cards."""
    figures, of_emotions = made.metrics["dev"], made.config.labels == LABELS
    named = {
        ("f1", "macro F1, thresholds cross-fitted"): figures["macro_f1_cross_fitted"],
        ("roc_auc", "ROC-AUC, macro"): figures["roc_auc"],
        ("matthews_correlation", "MCC over all decisions, threshold 0.51"): figures["at_0.51"]["mcc_flattened"],
        ("mean_average_precision", "mean average precision"): figures["mean_average_precision"],
    }
    lines = "".join(
        f"\n      - type: {kind}\n        name: {json.dumps(name)}\n        value: {value}"
        for (kind, name), value in named.items()
        if value is not None
    )
    return f"""model-index:
  - name: {json.dumps(made.name)}
    results:
    - task:
        type: text-classification
        name: multi-label {"emotion" if of_emotions else "text"} classification
      dataset:
        type: {"google-research-datasets/go_emotions" if of_emotions else "other"}
        name: {"GoEmotions" if of_emotions else "its own"}
        split: validation
      metrics:{lines}"""


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
    source = "GoEmotions train (Demszky et al. 2020, CC BY 4.0), " if made.config.labels == LABELS else ""
    train = f"{source}sha256 `{train_sha256}`" if train_sha256 else "not on record"
    recipe = "Recipe, epochs and versions: `training.json`. " if record else ""
    taught_by = record.get("taught_by") or []
    others = "another model says" if len(taught_by) == 1 else f"{len(taught_by)} other models say"
    teachers = f" It learnt from what {others} of these texts too: {', '.join(taught_by)}." if taught_by else ""
    return f"""{command}Training data: {train}; dev sha256 `{made.metrics["dev"]["data_sha256"]}`.{teachers}
{recipe}All figures: `metrics.json`."""
