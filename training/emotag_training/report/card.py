"""The model card: a description of a trained model, its figures and its training, from the artifact alone."""

import json
import math
from collections.abc import Mapping
from typing import Any

from emotag_model.artifact import Artifact
from emotag_schemas.labels import LABELS
from emotag_training.data import goemotions
from emotag_training.encoders.names import ORIGINS
from emotag_training.evaluation.failures import MOST_CHARACTERS, OF_EACH_KIND
from emotag_training.evaluation.metrics import CROSS_VALIDATION_REPEATS
from emotag_training.evaluation.rare_labels import RARE_SHARE, find_rare_labels
from emotag_training.evaluation.slices import SAID_IN_BOTH, SENTENCES
from emotag_training.record import read_section

from . import tables
from .selection import explain_selection, find_limit
from .tables import escape_markdown, format_figure, format_interval, render_markdown

LICENSED = (ORIGINS["minilm"], ORIGINS["bge-small"])
"""Encoders under Apache 2.0 or MIT: a model trained from them may be under Apache 2.0, as emotag is."""

BASELINE = "[burning-phoenix/GoEmotions](https://github.com/burning-phoenix/GoEmotions)"

MEASURED = ("macro_f1_cross_validated", "intervals", "calibration", "slices", "people_negative_false_positive_rate")
"""Figures that every `evaluate` gives. If an artifact lacks one of them, its card shows no figures."""

OF_GOEMOTIONS = """\
The model judges how a short English text reads, not how a person feels. It was trained on Reddit comments of 2005 to 2019,
with their slang and their slurs; the annotators were all from India. Do not use it to decide about people, or on languages
other than English."""
OF_EMOTIONS = """\
The model judges how a short text reads, not how a person feels. It was trained only on the texts named above. Do not trust
it on other kinds of texts, on other languages, or for labels that few of these texts have. Do not use it to decide
about people."""
OF_OTHERS = """\
The model was trained only on the texts named above. Do not trust it on other kinds of texts, or for labels that few of these
texts have. Do not use it to decide about people."""


def render_card(made: Artifact) -> str:
    """Render the model card in the Hugging Face format; every figure comes from the artifact's metrics.

    The card leaves out what metrics and training record do not contain: a model from elsewhere may have neither. The
    labels of GoEmotions alone prove nothing about the data. The card names the data set only if the hashes on record
    are the data set's own, and a licence only if the encoder's is known too.
    """
    sections = [
        _describe_model(made),
        _render_figures(made) if _has_figures(made) else "## Figures\n\nNo figures are on record.",
        f"## How it was made\n\n{_render_origin(made)}",
        f"## Limits of use\n\n{_explain_misuse(made)}",
    ]
    if _has_figures(made) and "measured_with" in made.metrics:
        sections.append(f"## Precision\n\nThe figures above were measured with {made.metrics['measured_with']}.")
    return "\n\n".join([_render_front_matter(made), *sections]) + "\n"


def _render_front_matter(made: Artifact) -> str:
    """Render the metadata that the Hugging Face hub reads: https://huggingface.co/docs/hub/model-cards."""
    learnt = _is_trained_on_goemotions(made)
    lines = [
        f"license: {licence}" if (licence := _choose_licence(made)) else "",
        "language: en" if learnt else "",
        "library_name: emotag",
        "pipeline_tag: text-classification",
        "datasets: [google-research-datasets/go_emotions]" if learnt else "",
        f"metrics: [f1, roc_auc, matthews_correlation]\n{_render_model_index(made)}" if _has_figures(made) else "",
    ]
    return "\n".join(["---", *filter(None, lines), "---"])


def _choose_licence(made: Artifact) -> str:
    """Return the licence in the recipe; without one, apache-2.0 if data and encoder are known to allow that."""
    named: str = read_section(made.training, "recipe", "run").get("license", "")
    known = _is_trained_on_goemotions(made) and made.training.get("encoder") in LICENSED
    return named or ("apache-2.0" if known else "")


def _describe_model(made: Artifact) -> str:
    config, record = made.config, made.training
    parameters = sum(map(math.prod, config.shapes().values())) / 1e6
    labels = f"any of {len(config.labels)} {'emotions' if config.labels == LABELS else 'labels'}"
    gives = f"{'an English text' if _is_trained_on_goemotions(made) else 'a text'} {labels}"
    encoder = f", from `{record['encoder']}`" if "encoder" in record else ""
    baseline = f"\nIt is modelled on {BASELINE}." if _is_trained_on_goemotions(made) else ""
    return f"""# {made.name}

A transformer encoder ({config.n_layers} layers, {config.dim} wide{encoder}) with a convolution
over its tokens, {parameters:.1f} M parameters. It gives {gives} and reads {config.max_tokens} tokens at a time.{baseline}{_explain_limit(made)}"""


def _explain_limit(made: Artifact) -> str:
    """Explain the limit of a run that used only the first texts; empty for other runs."""
    limit = find_limit(made.training)
    if limit is None:
        return ""
    measured = ""
    if _has_figures(made) and made.metrics["dev"]["texts"] <= limit:
        measured = f", and it was measured on no more than the first {limit:,} of dev"
    return f"\n\nIt was trained on no more than the first {limit:,} texts of its training data{measured} (`data.limit`, in its recipe)."


def _render_figures(made: Artifact) -> str:
    figures = made.metrics["dev"]
    calibration, sure = figures["calibration"], figures["intervals"]
    rows = render_markdown(
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
                format_interval(r["f1_interval"]),
                format_figure(r["average_precision"]),
                calibration["as_is"]["per_label"][label],
            )
            for label, r in figures["per_label"].items()
        ],
    )
    return f"""## Figures on {"GoEmotions dev" if _is_measured_on_goemotions(made) else "dev"} ({figures["texts"]:,} texts)

| figure | value | 95 % interval |
|---|---|---|
| macro F1, thresholds and calibration tuned on one half and measured on the other, {CROSS_VALIDATION_REPEATS} splits | {figures["macro_f1_cross_validated"]:.4f} ± {figures["macro_f1_cross_validated_std"]:.4f} | {format_interval(sure["macro_f1_cross_validated"])} |
{_render_frequent_row(figures)}| macro F1 at the thresholds below | {figures["own_thresholds"]["macro_f1"]:.4f} | {format_interval(sure["macro_f1_own_thresholds"])} |
| ROC-AUC, macro | {format_figure(figures["roc_auc"])} | {format_interval(sure["roc_auc"])} |
| mean average precision | {format_figure(figures["mean_average_precision"])} | {format_interval(sure["mean_average_precision"])} |
| MCC over all decisions, threshold 0.51 | {figures["at_0.51"]["mcc_micro"]:.4f} | {format_interval(sure["mcc_micro_at_0.51"])} |
| macro F1 at 0.51 | {figures["at_0.51"]["macro_f1"]:.4f} | {format_interval(sure.get("macro_f1_at_0.51"))} |{_render_shared_row(figures)}

Intervals: bootstrap over texts, {sure["resamples"]:,} resamples, percentiles. They do not cover the variation between training runs.

{_explain_reservations(made)}{_name_unranked_labels(figures)}

{rows}

## Calibration

Expected calibration error of a label, {calibration["bins"]} bins with the same number of texts: {calibration["as_is"]["mean"]:.4f} on average,
{calibration["as_is"]["largest"]:.4f} for the worst label. {_explain_calibration(made)}

{_render_slices(figures)}{_render_failures(figures)}"""


def _render_frequent_row(figures: Mapping[str, Any]) -> str:
    frequent = figures.get("without_rare_labels")
    if frequent is None:  # no label is rare, or the rates in training are unknown
        return ""
    labels, value = ", ".join(map(escape_markdown, frequent["left_out"])), frequent["macro_f1_cross_validated"]
    return f"| the same without the rare labels ({labels}) | {value:.4f} ± {frequent['macro_f1_cross_validated_std']:.4f} | |\n"


def _render_shared_row(figures: Mapping[str, Any]) -> str:
    apart = figures.get("without_texts_shared_with_train")
    if apart is None:  # measured without the training texts
        return ""
    shared = figures["texts"] - apart["texts"]
    return f"\n| macro F1 without the texts that are also in train ({shared} of them) | {apart['macro_f1_cross_validated']:.4f} | |"


def _render_slices(figures: Mapping[str, Any]) -> str:
    """Render the slices; with false-positive rates if the model has a negative label."""
    parts = ["## Kinds of texts", "With the thresholds in the table of labels."]
    if not tables.gives_negative(figures):
        return "\n\n".join([*parts, render_markdown(*tables.build_kinds_table(figures))])
    parts[-1] += (
        " The last column covers the texts without a negative emotion: the share of them that the model gives a negative emotion."
    )
    parts += [
        render_markdown(*tables.build_kinds_table(figures)),
        f'Of {len(SENTENCES)} plain sentences about each kind of people, such as "My neighbour is a Muslim.", the share that the model gives a negative emotion:',
        render_markdown(*tables.build_people_table(figures)),
    ]
    varieties = tables.build_varieties_table(figures)
    if varieties is not None:
        parts += [
            f'The same for {len(SAID_IN_BOTH)} everyday facts, each in two varieties of English ("{SAID_IN_BOTH[0][0]}", "{SAID_IN_BOTH[0][1]}"):',
            render_markdown(*varieties),
        ]
    return "\n\n".join(parts)


def _render_failures(figures: Mapping[str, Any]) -> str:
    """Render the worst mistakes, if the figures hold any: only GoEmotions' own texts."""
    found = tables.build_failures_table(figures)
    if found is None:
        return ""
    return f"""

## Examples of failures

Dev texts of at most {MOST_CHARACTERS} characters, from GoEmotions (Demszky et al. 2020, CC BY 4.0). The first {OF_EACH_KIND} rows are
labels that the annotators did not give, and the model gave with the highest probability. The last {OF_EACH_KIND} rows are labels that
the annotators gave, and to which the model gave the lowest probability. Each label and each text occurs once.
Some of these mistakes may be the annotators'. The texts are unchanged; some may offend.

{render_markdown(*found)}"""


def _explain_calibration(made: Artifact) -> str:
    """Explain the effect of calibration, or the effect that it would have."""
    found, done = made.metrics["dev"]["calibration"], made.training.get("calibration")
    if done is None:
        after = found["platt_cross_validated"]
        return f"""The scores are not calibrated. Platt scaling
(`emotag-train tune --calibrate`), cross-validated, would give {after["mean"]:.4f} and {after["largest"]:.4f}."""
    if done["data_sha256"] == made.metrics["dev"]["data_sha256"]:
        return "Platt scaling is part of\nthe last layer. It was fitted on the same texts, so these errors are lower than on new texts."
    return "Platt scaling is part of\nthe last layer. It was fitted on other texts."


def _render_model_index(made: Artifact) -> str:
    figures = made.metrics["dev"]
    of_emotions, of_goemotions = made.config.labels == LABELS, _is_measured_on_goemotions(made)
    part = "" if figures["texts"] == goemotions.DEV_TEXTS else f", the first {figures['texts']:,} texts"
    named = {
        ("f1", "macro F1, thresholds cross-validated"): figures["macro_f1_cross_validated"],
        ("roc_auc", "ROC-AUC, macro"): figures["roc_auc"],
        ("matthews_correlation", "MCC over all decisions, threshold 0.51"): figures["at_0.51"]["mcc_micro"],
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


def _explain_reservations(made: Artifact) -> str:
    """Explain the limits of the figures."""
    figures = made.metrics["dev"]
    seed = f"One seed ({made.training['seed']}). " if "seed" in made.training else ""
    after = f"\n{explain_selection(made.training, figures)}".rstrip()
    if made.thresholds.data_sha256 != figures["data_sha256"]:
        of_train = made.thresholds.data_sha256 == read_section(made.training, "data").get("train_sha256")
        only = ", which only calibrate them: they were tuned on out-of-fold predictions" if of_train else ""
        return f"{seed}The thresholds below (`{made.thresholds.policy}`) were not tuned on these texts{only}.{after}"
    honest = "The first row of the table above does not have this bias."
    if made.thresholds.policy != "f1":
        honest = f"The first row of the table above is about thresholds by `f1`, not about these (`{made.thresholds.policy}`)."
    return f"""{seed}The thresholds below were tuned on the same texts, so precision, recall and F1 are
higher than on new texts. {honest}{after}"""


def _name_unranked_labels(figures: Mapping[str, Any]) -> str:
    """Name the labels that ranking figures leave out."""
    labels = figures.get("left_out_of_ranking") or []
    if not labels:
        return ""
    named = ", ".join(escape_markdown(label) for label in labels)
    return f"""\nAll or none of the texts have these labels: {named}. ROC-AUC and average precision leave them out. In macro F1,
a label that no text has counts as 0."""


def _render_origin(made: Artifact) -> str:
    """Render the command and the data, as far as they are on record."""
    record = made.training
    command = f"```\n{record['command']}\n```\n\n" if "command" in record else ""
    train_sha256 = read_section(record, "data").get("train_sha256")
    source = "GoEmotions train (Demszky et al. 2020, CC BY 4.0), " if _is_trained_on_goemotions(made) else ""
    train = f"{source}sha256 `{train_sha256}`" if train_sha256 else "not on record"
    recipe = "Recipe, epochs and versions: `training.json`. " if record else ""
    versions = record.get("teachers") or []
    others = "another model" if len(versions) == 1 else f"{len(versions)} other models"
    teachers = f" It was distilled from {others} on these texts: {', '.join(versions)}." if versions else ""
    started = f" It continued from {record['continued_from']}." if "continued_from" in record else ""
    runs = record.get("mean_of") or []
    seeds = ", ".join(str(run.get("seed", "?")) for run in runs)
    mean = f" Its weights are the mean of {len(runs)} runs, with the seeds {seeds}." if runs else ""
    dev, figures = "", ""
    if _has_figures(made):
        dev, figures = f"; dev sha256 `{made.metrics['dev']['data_sha256']}`", "All figures: `metrics.json`."
    return f"{command}Training data: {train}{dev}.{started}{mean}{teachers}\n{recipe}{figures}".rstrip()


def _explain_misuse(made: Artifact) -> str:
    """Explain the limits of use."""
    if not _is_trained_on_goemotions(made):
        return OF_EMOTIONS if made.config.labels == LABELS else OF_OTHERS
    rare = find_rare_labels(made.reference_stats.label_rates) if made.reference_stats else ()
    weak = f" Rare labels ({', '.join(rare)}) are weak: less than {RARE_SHARE:.0%} of the training texts have them."
    return OF_GOEMOTIONS + (weak if rare else "")


def _has_figures(made: Artifact) -> bool:
    return set(MEASURED) <= set(made.metrics.get("dev", ()))


def _is_trained_on_goemotions(made: Artifact) -> bool:
    return goemotions.is_train(read_section(made.training, "data").get("train_sha256"), made.config.labels)


def _is_measured_on_goemotions(made: Artifact) -> bool:
    return goemotions.is_dev(made.metrics["dev"]["data_sha256"], made.config.labels)
