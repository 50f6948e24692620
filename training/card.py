"""The model card: what a trained model is, what it is worth and how it was made, from the artifact alone."""

import json
from collections.abc import Mapping
from typing import Any

from model.artifact import Artifact
from schemas.labels import LABELS

from . import goemotions, tables
from .failures import MOST_CHARACTERS, OF_EACH_KIND
from .metrics import CROSS_FIT_SPLITS
from .slices import SAID_IN_BOTH, SENTENCES
from .tables import between, escaped, markdown, shown
from .trunk import ORIGINS

LICENSED = (ORIGINS["minilm"], ORIGINS["bge-small"])
"""Trunks whose licences, Apache 2.0 and MIT, let a model grown on them be under Apache 2.0, as emotag is."""

MEASURED = ("macro_f1_cross_fitted", "intervals", "calibration", "slices", "people_negative_false_positive_rate")
"""Figures that every `evaluate` gives: of an artifact that lacks one, as from elsewhere, a card shows none."""

OF_GOEMOTIONS = """\
It judges how a short English text reads, not how a person feels. It learnt from Reddit comments of 2005 to 2019, with
their slang, their slurs and their raters (all from India). Do not use it to decide about people, nor on languages other
than English."""
OF_EMOTIONS = """\
It judges how a short text reads, not how a person feels. It has learnt from the texts named above and from no others: of
a text unlike them or in another language, and of a label that few of them have, it says little. Do not use it to decide
about people."""
OF_OTHERS = """\
It has learnt from the texts named above and from no others: of a text unlike them, and of a label that few of them have,
it says little. Do not use it to decide about people."""


def card(made: Artifact) -> str:
    """The model card, in the Hugging Face format; every figure comes from the artifact's metrics.

    What metrics and training record do not say is left out: a model from elsewhere may have neither. Having GoEmotions'
    28 labels makes a model one of emotions, no more; of the data set, its language, its raters and its counts, a card
    speaks where the hashes on record are the data set's own, and of a licence where it knows the trunk's too.
    """
    sections = [
        _what(made),
        _figures(made) if _has_figures(made) else "## Figures\n\nThere are none on record.",
        f"## How it was made\n\n{_origin(made)}",
        f"## What it should not be used for\n\n{_uses(made)}",
    ]
    if _has_figures(made) and "measured_with" in made.metrics:
        sections.append(f"## Precision\n\nThe figures above were measured with {made.metrics['measured_with']}.")
    return "\n\n".join([_front(made), *sections]) + "\n"


def chosen_on(record: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """What of the model was chosen on the texts that *figures* are of, as far as the record has it; or nothing."""
    measured, limit = figures["data_sha256"], _limit(record)
    if record.get("data", {}).get("train_sha256") == measured:
        return "It has learnt from these very texts: the figures say nothing of new ones."
    whole = limit is None or figures["texts"] <= limit  # a run that was held to the first texts saw no others
    reasons = []
    epochs = len(record.get("epochs") or ())
    # Of a single epoch there is nothing to choose.
    if epochs > 1 and "best_epoch" in record and record.get("data", {}).get("dev_sha256") == measured:
        best = f"the epoch ({record['best_epoch']} of {epochs}) with the best mean average precision on {'them' if whole else 'some of them'}"
        reasons.append(f"its weights are those of {best}")
    calibration = record.get("calibration") or {}
    if calibration.get("data_sha256") == measured:
        all_of_them = calibration["texts"] >= figures["texts"] if "texts" in calibration else whole
        reasons.append(f"Platt scaling was fitted on {'them all' if all_of_them else 'some of them'}")
    if not reasons:
        return ""
    return f"These texts had a part in the model: {', and '.join(reasons)}; on new ones every figure is likely to be worse."


def _front(made: Artifact) -> str:
    """What the Hugging Face hub reads: https://huggingface.co/docs/hub/model-cards."""
    learnt = _learnt_goemotions(made)
    lines = [
        f"license: {licence}" if (licence := _licence(made)) else "",
        "language: en" if learnt else "",
        "library_name: emotag",
        "pipeline_tag: text-classification",
        "datasets: [google-research-datasets/go_emotions]" if learnt else "",
        f"metrics: [f1, roc_auc, matthews_correlation]\n{_model_index(made)}" if _has_figures(made) else "",
    ]
    return "\n".join(["---", *filter(None, lines), "---"])


def _licence(made: Artifact) -> str:
    """What the recipe names; apache-2.0 where it names none and data and trunk are known to allow that."""
    named: str = (made.training.get("recipe") or {}).get("license", "")
    known = _learnt_goemotions(made) and made.training.get("trunk") in LICENSED
    return named or ("apache-2.0" if known else "")


def _what(made: Artifact) -> str:
    config, record = made.config, made.training
    parameters = sum(values.size for values in made.weights.values()) / 1e6
    labels = f"any of {len(config.labels)} {'emotions' if config.labels == LABELS else 'labels'}"
    gives = f"{'an English text' if _learnt_goemotions(made) else 'a text'} {labels}"
    trunk = f", from `{record['trunk']}`" if "trunk" in record else ""
    return f"""# {made.name}

A DistilBERT encoder ({config.n_layers} layers, {config.dim} wide{trunk}) with a convolution
over its tokens, {parameters:.1f} M parameters, that gives {gives}. It reads the first {config.max_tokens} tokens.{_limited(made)}"""


def _limited(made: Artifact) -> str:
    """What a run that was held to the first texts saw of its data; nothing of any other."""
    limit = _limit(made.training)
    if limit is None:
        return ""
    measured = ""
    if _has_figures(made) and made.metrics["dev"]["texts"] <= limit:
        measured = f", and it was measured on no more than the first {limit:,} of dev"
    return f"\n\nIt has learnt from no more than the first {limit:,} texts of its training data{measured} (`limit`, in its recipe)."


def _figures(made: Artifact) -> str:
    figures = made.metrics["dev"]
    calibration, sure = figures["calibration"], figures["intervals"]
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
    return f"""## Figures on {"GoEmotions dev" if _measured_on_goemotions(made) else "dev"} ({figures["texts"]:,} texts)

| figure | value | 95 % interval |
|---|---|---|
| macro F1, thresholds tuned on one half and scored on the other, {CROSS_FIT_SPLITS} splits | {figures["macro_f1_cross_fitted"]:.4f} ± {figures["macro_f1_cross_fitted_std"]:.4f} | {between(sure["macro_f1_cross_fitted"])} |
| macro F1 at the thresholds below | {figures["own_thresholds"]["macro_f1"]:.4f} | {between(sure["macro_f1_own_thresholds"])} |
| ROC-AUC, macro | {shown(figures["roc_auc"])} | {between(sure["roc_auc"])} |
| mean average precision | {shown(figures["mean_average_precision"])} | {between(sure["mean_average_precision"])} |
| MCC over all decisions, threshold 0.51 | {figures["at_0.51"]["mcc_flattened"]:.4f} | {between(sure["mcc_flattened_at_0.51"])} |
| macro F1 at 0.51 | {figures["at_0.51"]["macro_f1"]:.4f} | {between(sure.get("macro_f1_at_0.51"))} |{_shared_row(figures)}

Intervals: bootstrap over texts, {sure["resamples"]:,} resamples, percentiles. They do not cover what training anew would change.

{_reservation(made)}{_never_ranked(figures)}

{rows}

## Calibration

Expected calibration error of a label, {calibration["bins"]} bins of equally many texts: {calibration["as_is"]["mean"]:.4f} on average,
{calibration["as_is"]["largest"]:.4f} for the worst label. {_calibrated(made)}

{_slices(figures)}{_failures(figures)}"""


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

{markdown(*found)}"""


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
    figures = made.metrics["dev"]
    of_emotions, of_goemotions = made.config.labels == LABELS, _measured_on_goemotions(made)
    part = "" if figures["texts"] == goemotions.DEV_TEXTS else f", the first {figures['texts']:,} texts"
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
        type: {"google-research-datasets/go_emotions" if of_goemotions else "other"}
        name: {f"GoEmotions{part}" if of_goemotions else "its own"}
        split: validation
      metrics:{lines}"""


def _reservation(made: Artifact) -> str:
    """How far the figures can be trusted."""
    figures = made.metrics["dev"]
    seed = f"One seed ({made.training['seed']}). " if "seed" in made.training else ""
    chosen = chosen_on(made.training, figures)
    after = f"\n{chosen}" if chosen else ""
    if made.thresholds.data_sha256 != figures["data_sha256"]:
        return f"{seed}The thresholds below (`{made.thresholds.policy}`) were not tuned on these rows.{after}"
    honest = "the first row of the table above is the honest figure."
    if made.thresholds.policy != "f1":
        honest = (
            f"the first row of the table above is of thresholds by `f1`, not of these (`{made.thresholds.policy}`)."
        )
    return f"""{seed}The thresholds below were tuned on these same rows, so the columns that depend on
them (precision, recall, F1) read higher than on new texts; {honest}{after}"""


def _never_ranked(figures: Mapping[str, Any]) -> str:
    """Labels that some figures count and others cannot."""
    labels = figures.get("left_out_of_ranking") or []
    if not labels:
        return ""
    named = ", ".join(escaped(label) for label in labels)
    return f"""\nOf these labels all or none of the texts have one: {named}. ROC-AUC and average precision leave them out; in macro F1
one that no text has counts as 0."""


def _origin(made: Artifact) -> str:
    """Command and data, as far as record and figures have them."""
    record = made.training
    command = f"```\n{record['command']}\n```\n\n" if "command" in record else ""
    train_sha256 = record.get("data", {}).get("train_sha256")
    source = "GoEmotions train (Demszky et al. 2020, CC BY 4.0), " if _learnt_goemotions(made) else ""
    train = f"{source}sha256 `{train_sha256}`" if train_sha256 else "not on record"
    recipe = "Recipe, epochs and versions: `training.json`. " if record else ""
    taught_by = record.get("taught_by") or []
    others = "another model says" if len(taught_by) == 1 else f"{len(taught_by)} other models say"
    teachers = f" It learnt from what {others} of these texts too: {', '.join(taught_by)}." if taught_by else ""
    dev, figures = "", ""
    if _has_figures(made):
        dev, figures = f"; dev sha256 `{made.metrics['dev']['data_sha256']}`", "All figures: `metrics.json`."
    return f"{command}Training data: {train}{dev}.{teachers}\n{recipe}{figures}".rstrip()


def _uses(made: Artifact) -> str:
    """What it should not be used for, and why."""
    if not _learnt_goemotions(made):
        return OF_EMOTIONS if made.config.labels == LABELS else OF_OTHERS
    rare = "Rare labels (grief, relief, pride, nervousness, embarrassment) had"
    counts = "77 to 303" if _limit(made.training) is None else "few"
    return f"{OF_GOEMOTIONS} {rare} {counts} training texts and are weak."


def _has_figures(made: Artifact) -> bool:
    return set(MEASURED) <= set(made.metrics.get("dev", ()))


def _learnt_goemotions(made: Artifact) -> bool:
    return goemotions.is_train(made.training.get("data", {}).get("train_sha256"), made.config.labels)


def _measured_on_goemotions(made: Artifact) -> bool:
    return goemotions.is_dev(made.metrics["dev"]["data_sha256"], made.config.labels)


def _limit(record: Mapping[str, Any]) -> int | None:
    """How many of the first texts a run was held to."""
    limit: int | None = (record.get("recipe") or {}).get("limit")
    return limit
