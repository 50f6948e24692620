"""Measure an artifact on labelled texts: its probabilities, and every figure that follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotag_model.artifact import Artifact
from emotag_model.engines.precision import PRECISIONS, PrecisionName
from emotag_model.engines.protocol import ENGINE_KINDS
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import Tokens
from emotag_training.data.split import Split, TokenizedSplit, find_shared_rows
from emotag_training.errors import PolicyError
from emotag_training.record import read_section

from . import failures, slices
from .calibration import measure_calibration
from .intervals import compute_differences, compute_intervals
from .metrics import Floats, compute_metrics, cross_validate_macro_f1
from .prediction import compute_exact, compute_in, predict
from .rare_labels import find_rare_labels
from .thresholds import AtPrecision, Policy, cross_validate_precision, parse_policy


def evaluate(
    trained: Artifact, split: Split, *, shared_with: Split | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """Return all figures of an artifact on *split*, in float32, and the cost of int8.

    The figures contain no text, except those of `failures` if *split* is GoEmotions' own dev: figures are written to
    disk, and published with a card.

    Args:
        shared_with: the training split. If given, the figures without the texts that both splits contain are added,
            unless the artifact was trained on other texts.
        device: as for `predict`.

    Raises:
        DataError: the split has other labels than the artifact.
    """
    texts = tokenize(trained, split)
    probabilities_NK = predict(trained, texts, device=device)
    return measure(trained, probabilities_NK, texts, shared_with=shared_with, device=device)


def measure(
    trained: Artifact,
    probabilities_NK: Floats,
    texts: TokenizedSplit,
    *,
    shared_with: Split | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Return the figures of `evaluate` from probabilities that `predict` returned."""
    split, cuts = texts.split, trained.thresholds.values
    stats = trained.reference_stats
    found = compute_figures(
        probabilities_NK,
        trained.thresholds,
        split,
        shared_with=find_train_split(trained, shared_with),
        rare=find_rare_labels(stats.label_rates) if stats else (),
    )
    of_people, of_varieties = slices.list_people_sentences(), slices.list_variety_sentences()
    plain_NK = compute_exact(trained, _build_tokens(trained)([*of_people, *of_varieties]), device=device)
    people_NK, varieties_NK = np.split(plain_NK, [len(of_people)])
    found["people_negative_false_positive_rate"] = slices.measure_people(people_NK, cuts, split.labels)
    found["dialect_negative_false_positive_rate"] = slices.measure_varieties(varieties_NK, cuts, split.labels)
    found["failures"] = failures.find_failures(split, probabilities_NK, cuts)
    if not ENGINE_KINDS["torch"].supports(trained.config):
        return found
    costly = [precision for precision, row in PRECISIONS.items() if row.largest_f1_loss is not None]
    return {**found, **{precision: measure_cost(precision, trained, probabilities_NK, texts) for precision in costly}}


def find_train_split(trained: Artifact, split: Split | None) -> Split | None:
    """Return *split* if the artifact can have been trained on it; None if its record or its labels rule that out."""
    if split is None or set(split.labels) != set(trained.config.labels):
        return None
    return split if read_section(trained.training, "data").get("train_sha256") in (None, split.sha256) else None


def compare_models(
    a: Artifact, b: Artifact, split: Split, *, probabilities_of_b_NK: Floats | None = None, device: str = "cpu"
) -> dict[str, dict[str, Any]]:
    """Return how far *b* is ahead of *a* on the same texts, each at its own thresholds, as `compute_differences` does.

    Args:
        probabilities_of_b_NK: the result of `predict` for *b*, if the caller already has it.
        device: as for `predict`.
    """
    of_a_NK, of_b_NK = predict(a, tokenize(a, split), device=device), probabilities_of_b_NK
    if of_b_NK is None:
        of_b_NK = predict(b, tokenize(b, split), device=device)
    return compute_differences((of_a_NK, of_b_NK), (a.thresholds.values, b.thresholds.values), split.targets_NK)


def tokenize(trained: Artifact, split: Split) -> TokenizedSplit:
    """Return *split* with the token ids that the artifact's tokenizer gives."""
    return TokenizedSplit.of(split, _build_tokens(trained))


def measure_cost(
    precision: PrecisionName, trained: Artifact, exact_NK: Floats, texts: TokenizedSplit
) -> dict[str, float]:
    """Return the cost of a precision on *texts*: thresholds tuned on exact probabilities, applied to both.

    Args:
        exact_NK: the result of `predict`.
    """
    rounded_NK = compute_in(precision, trained, texts.token_ids)
    targets_NK = texts.split.targets_NK
    exact, _ = cross_validate_macro_f1(exact_NK, targets_NK)
    rounded, _ = cross_validate_macro_f1(exact_NK, targets_NK, scored_NK=rounded_NK)
    return {
        "macro_f1_loss": round(exact - rounded, 4) + 0.0,  # never -0.0
        "largest_difference": round(float(np.abs(exact_NK - rounded_NK).max()), 4),
        "mean_difference": round(float(np.abs(exact_NK - rounded_NK).mean()), 5),
    }


def compute_figures(
    probabilities_NK: Floats,
    thresholds: Thresholds,
    split: Split,
    *,
    shared_with: Split | None = None,
    rare: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the figures that follow from probabilities and targets alone.

    Args:
        rare: as for `compute_metrics`.
    """
    found = compute_metrics(probabilities_NK, split.targets_NK, thresholds.values, split.labels, rare=rare)
    sure = compute_intervals(probabilities_NK, split.targets_NK, thresholds.values)
    for label, between in zip(split.labels, sure.pop("f1"), strict=True):
        found["per_label"][label]["f1_interval"] = between
    found["intervals"] = sure
    found["calibration"] = measure_calibration(probabilities_NK, split.targets_NK, split.labels)
    found["slices"] = slices.measure_kinds(
        split.texts, probabilities_NK, split.targets_NK, thresholds.values, split.labels
    )
    policy = _find_policy(thresholds)
    if isinstance(policy, AtPrecision):
        found["precision_cross_validated"] = cross_validate_precision(
            probabilities_NK, split.targets_NK, split.labels, least=policy.least
        )
    found["data_sha256"] = split.sha256
    if shared_with is not None:
        kept = np.setdiff1d(np.arange(len(split)), find_shared_rows(split, shared_with))
        if len(kept):  # no texts are left
            apart = compute_metrics(probabilities_NK[kept], split.targets_NK[kept], thresholds.values, split.labels)
            found["without_texts_shared_with_train"] = {
                name: apart[name] for name in ("texts", "macro_f1_cross_validated", "roc_auc", "mean_average_precision")
            }
    return found


def list_headline(found: Mapping[str, Any]) -> list[tuple[str, float | None, Sequence[float] | None]]:
    """Return the main figures of `evaluate`: title, value, and the 95 % interval if the figure has one."""
    sure = found["intervals"]
    calibrated = found["calibration"]["as_is"]
    precise, frequent = found.get("precision_cross_validated"), found.get("without_rare_labels")
    transferred = found.get("held_out_cuts_cross_validated")
    return [
        ("macro F1, thresholds cross-validated", found["macro_f1_cross_validated"], sure["macro_f1_cross_validated"]),
        ("  its deviation over the repetitions", found["macro_f1_cross_validated_std"], None),
        *([("  the same without rare labels", frequent["macro_f1_cross_validated"], None)] if frequent else []),
        *([("macro F1, cuts from out-of-fold predictions", transferred["macro_f1"], None)] if transferred else []),
        ("macro F1, own thresholds", found["own_thresholds"]["macro_f1"], sure["macro_f1_own_thresholds"]),
        ("macro F1, at 0.51", found["at_0.51"]["macro_f1"], sure["macro_f1_at_0.51"]),
        ("macro F1, at 0.3", found["at_0.3"]["macro_f1"], None),
        ("ROC-AUC, macro", found["roc_auc"], sure["roc_auc"]),
        ("mean average precision", found["mean_average_precision"], sure["mean_average_precision"]),
        ("MCC over all decisions, at 0.51", found["at_0.51"]["mcc_micro"], sure["mcc_micro_at_0.51"]),
        ("MCC macro, at 0.51", found["at_0.51"]["mcc_macro"], sure["mcc_macro_at_0.51"]),
        ("AUC of the 0/1 decisions at 0.51", found["at_0.51"]["auc_binarised"], sure["auc_binarised_at_0.51"]),
        ("calibration error, mean over labels", calibrated["mean"], None),
        ("calibration error, worst label", calibrated["largest"], None),
        *(
            [("precision of the labels given, thresholds cross-validated", precise["of_all_decisions"], None)]
            if precise
            else []
        ),
        *([("macro F1 lost in int8", found["int8"]["macro_f1_loss"], None)] if "int8" in found else []),
    ]


def _find_policy(thresholds: Thresholds) -> Policy | None:
    """Return the policy on record; None if this emotag does not choose by it: its thresholds can still be measured."""
    try:
        return parse_policy(thresholds.policy)
    except PolicyError:
        return None


def _build_tokens(trained: Artifact) -> Tokens:
    return Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
