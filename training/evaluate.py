"""What an artifact is worth on labelled texts: its probabilities, and every figure that follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN
from model.thresholds import Thresholds
from model.tokens import Tokens
from model.torch_engine import TorchEngine

from . import failures, slices
from .calibration import calibration
from .data import Split, shared_rows
from .fit import probabilities
from .intervals import differences, intervals
from .metrics import Floats, cross_fitted_macro_f1, report


def evaluate(trained: Artifact, split: Split, *, shared_with: Split | None = None) -> dict[str, Any]:
    """All figures of an artifact on *split*, by the reference forward in float32, and what int8 would cost.

    No text is among them, but of GoEmotions' own dev those of `failures`: they are written, and published with a card.

    Args:
        shared_with: the training split; where given, the figures without the texts that stand in both are added, unless
            the artifact has learnt from others.

    Raises:
        ValueError: the split has other labels than the artifact.
    """
    return measured(trained, predict(trained, split), split, shared_with=shared_with)


def measured(
    trained: Artifact, probabilities_NK: Floats, split: Split, *, shared_with: Split | None = None
) -> dict[str, Any]:
    """As `evaluate`, from probabilities that are there already, as `predict` gives them."""
    found = figures(probabilities_NK, trained.thresholds, split, shared_with=learnt_from(trained, shared_with))
    cuts = trained.thresholds.values
    about_NK, said_NK = (_probabilities(trained, texts) for texts in (slices.sentences(), slices.in_varieties()))
    found["people_negative_false_positive_rate"] = slices.of_people(about_NK, cuts, split.labels)
    found["dialect_negative_false_positive_rate"] = slices.of_varieties(said_NK, cuts, split.labels)
    found["failures"] = failures.of_texts(split, probabilities_NK, cuts)
    return {**found, "int8": cost_of_int8(trained, probabilities_NK, split)}


def learnt_from(trained: Artifact, split: Split | None) -> Split | None:
    """*split*, where it can be what the artifact has learnt from; None where its record or its labels say otherwise."""
    if split is None or set(split.labels) != set(trained.config.labels):
        return None
    return split if trained.training.get("data", {}).get("train_sha256") in (None, split.sha256) else None


def beside(a: Artifact, b: Artifact, split: Split, *, said_by_b_NK: Floats | None = None) -> dict[str, dict[str, Any]]:
    """How far *b* is ahead of *a* on the same texts: `differences` of their probabilities, each at its own thresholds.

    Args:
        said_by_b_NK: what `predict` gives of *b*, where that is there already.
    """
    of_b_NK = predict(b, split) if said_by_b_NK is None else said_by_b_NK
    return differences((predict(a, split), of_b_NK), (a.thresholds.values, b.thresholds.values), split.targets_NK)


def predict(trained: Artifact, split: Split) -> Floats:
    """Probabilities [N, K] of *split*, by the reference forward in float32 on the CPU.

    Raises:
        ValueError: the split has other labels than the artifact.
    """
    if split.labels != trained.config.labels:
        raise ValueError(f"{trained.name} has other labels than the data set, or has them in another order")
    return _probabilities(trained, split.texts)


def cost_of_int8(trained: Artifact, exact_NK: Floats, split: Split) -> dict[str, float]:
    """What 8-bit integers cost on *split*: thresholds tuned on exact probabilities, applied to both.

    Args:
        exact_NK: as `predict` gives them.
    """
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    imitation = TorchEngine(trained, device="cpu", precision="int8")
    rounded_NK = imitation.probabilities([text.ids for text in tokens(split.texts)])
    exact, _ = cross_fitted_macro_f1(exact_NK, split.targets_NK)
    rounded, _ = cross_fitted_macro_f1(exact_NK, split.targets_NK, scored_NK=rounded_NK)
    return {
        "macro_f1_loss": round(exact - rounded, 4) + 0.0,  # never -0.0
        "largest_difference": round(float(np.abs(exact_NK - rounded_NK).max()), 4),
        "mean_difference": round(float(np.abs(exact_NK - rounded_NK).mean()), 5),
    }


def figures(
    probabilities_NK: Floats, thresholds: Thresholds, split: Split, *, shared_with: Split | None = None
) -> dict[str, Any]:
    """What follows from probabilities and targets alone."""
    found = report(probabilities_NK, split.targets_NK, thresholds.values, split.labels)
    sure = intervals(probabilities_NK, split.targets_NK, thresholds.values)
    for label, between in zip(split.labels, sure.pop("f1"), strict=True):
        found["per_label"][label]["f1_interval"] = between
    found["intervals"] = sure
    found["calibration"] = calibration(probabilities_NK, split.targets_NK, split.labels)
    found["slices"] = slices.of_texts(split.texts, probabilities_NK, split.targets_NK, thresholds.values, split.labels)
    found["data_sha256"] = split.sha256
    if shared_with is not None:
        kept = np.setdiff1d(np.arange(len(split)), shared_rows(split, shared_with))
        if len(kept):  # of none there are no figures
            apart = report(probabilities_NK[kept], split.targets_NK[kept], thresholds.values, split.labels)
            found["without_texts_shared_with_train"] = {
                name: apart[name] for name in ("texts", "macro_f1_cross_fitted", "roc_auc", "mean_average_precision")
            }
    return found


def headline(found: Mapping[str, Any]) -> list[tuple[str, float | None, Sequence[float] | None]]:
    """The figures to look at first, of all that `evaluate` gives: title, value, 95 % interval where it has one."""
    sure = found["intervals"]
    calibrated = found["calibration"]["as_is"]
    return [
        ("macro F1, thresholds cross-fitted", found["macro_f1_cross_fitted"], sure["macro_f1_cross_fitted"]),
        ("  its deviation over the halvings", found["macro_f1_cross_fitted_std"], None),
        ("macro F1, own thresholds", found["own_thresholds"]["macro_f1"], sure["macro_f1_own_thresholds"]),
        ("macro F1, at 0.51", found["at_0.51"]["macro_f1"], sure["macro_f1_at_0.51"]),
        ("macro F1, at 0.3", found["at_0.3"]["macro_f1"], None),
        ("ROC-AUC, macro", found["roc_auc"], sure["roc_auc"]),
        ("mean average precision", found["mean_average_precision"], sure["mean_average_precision"]),
        ("MCC flattened, at 0.51", found["at_0.51"]["mcc_flattened"], sure["mcc_flattened_at_0.51"]),
        ("MCC macro, at 0.51", found["at_0.51"]["mcc_macro"], sure["mcc_macro_at_0.51"]),
        ("AUC of the 0/1 decisions at 0.51", found["at_0.51"]["auc_binarised"], sure["auc_binarised_at_0.51"]),
        ("calibration error, mean over labels", calibrated["mean"], None),
        ("calibration error, worst label", calibrated["largest"], None),
        *([("macro F1 lost in int8", found["int8"]["macro_f1_loss"], None)] if "int8" in found else []),
    ]


def _probabilities(trained: Artifact, texts: Sequence[str]) -> Floats:
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    model = DistilBertCNN.of(trained.config, trained.weights)
    return probabilities(model, tokens(texts), device=torch.device("cpu"))
