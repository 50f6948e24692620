"""Tune a trained model on dev: choose thresholds, calibrate, and record the figures that follow.

Every function takes dev as token ids too, so that a run tokenizes dev once.
"""

from dataclasses import replace

import numpy as np
import torch

from emotag_model.artifact import Artifact
from emotag_model.reference_stats import ReferenceStats
from emotag_training.data.split import Split, TokenizedSplit

from .evaluate import find_train_split, measure
from .metrics import Floats
from .platt import fit_platt, fold_platt
from .prediction import predict
from .thresholds import BestF1, HeldOut, choose_thresholds, cross_validate_transfer, parse_policy

CALIBRATED = ("classifier.weight", "classifier.bias")


def tune(
    trained: Artifact,
    dev: TokenizedSplit,
    policy: str,
    *,
    held_out: HeldOut | None = None,
    shared_with: Split | None = None,
    device: str = "cpu",
) -> Artifact:
    """Return *trained* with new thresholds, with its figures on *dev* at them, and with its drift reference.

    Figures at the old thresholds, on any data, are dropped: they no longer describe this artifact.

    Args:
        dev: tokenized by the artifact's tokenizer, as `tokenize` does.
        policy, held_out: as for `choose_thresholds`.
        shared_with: as for `evaluate`.
        device: as for `predict`.

    Raises:
        PolicyError: the policy is unknown.
        DataError: *dev* has other labels than the artifact.
    """
    probabilities_NK = predict(trained, dev, device=device)
    thresholds = choose_thresholds(probabilities_NK, dev.split, policy, held_out=held_out)
    reference = build_reference(trained, probabilities_NK, dev, find_train_split(trained, shared_with))
    tuned = replace(trained, thresholds=thresholds, reference_stats=reference)
    figures = measure(tuned, probabilities_NK, dev, shared_with=shared_with, device=device)
    if held_out is not None and isinstance(parse_policy(policy), BestF1):
        figures["held_out_cuts_cross_validated"] = cross_validate_transfer(
            held_out, probabilities_NK, dev.split.targets_NK
        )
    return replace(tuned, metrics={"dev": figures})


def build_reference(
    trained: Artifact, probabilities_NK: Floats, dev: TokenizedSplit, train: Split | None
) -> ReferenceStats:
    """Return what drift is measured against: scores and tokens of *dev*, which the model has not trained on.

    Label rates are those of *train*; without it, those that the artifact already has; else those of *dev*.
    """
    labels = dev.split.labels
    counted = dev.split if train is None else train  # its labels may be in another order
    rates_K = counted.targets_NK.mean(axis=0, dtype=np.float64)
    rate_of = dict(zip(counted.labels, rates_K, strict=True))
    rates = {label: round(float(rate_of[label]), 6) for label in labels}
    if train is None and trained.reference_stats is not None:
        rates = dict(trained.reference_stats.label_rates)
    return ReferenceStats.of(probabilities_NK, dev.token_ids, rates)


def calibrate(trained: Artifact, dev: TokenizedSplit, *, device: str = "cpu") -> Artifact:
    """Return *trained* with Platt scaling fitted on *dev* and folded into its last layer: a new model version.

    The layer is rounded as the artifact stores it. Thresholds and figures belong to the old weights: call `tune` next.
    """
    scale_K, shift_K = fit_platt(predict(trained, dev, device=device), dev.split.targets_NK)
    weights = fold_platt(trained.weights, scale_K, shift_K)
    stored = getattr(torch, trained.weights_dtype or "float32")
    for name in CALIBRATED:
        weights[name] = torch.from_numpy(weights[name]).to(stored).float().numpy()
    record = {"method": "platt", "data_sha256": dev.split.sha256, "texts": len(dev)}
    return replace(trained, weights=weights, training={**trained.training, "calibration": record})
