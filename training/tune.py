"""Thresholds for weights that are there: chosen by a policy, with the figures that follow from them."""

from dataclasses import replace

import numpy as np
import torch

from model.artifact import Artifact
from model.reference import Reference
from model.thresholds import Thresholds
from model.tokens import Tokens

from .calibration import folded, platt
from .data import Split
from .evaluate import learnt_from, measured, predict
from .metrics import Floats, best_f1_thresholds
from .policy import parse

CALIBRATED = ("classifier.weight", "classifier.bias")


def tune(trained: Artifact, dev: Split, policy: str, *, shared_with: Split | None = None) -> Artifact:
    """*trained* with new thresholds, with the figures on *dev* that they give, and with its reference for drift.

    Figures of the old thresholds, on whatever data, are left behind: they are no longer this artifact's.

    Args:
        policy: as for `choose_thresholds`.
        shared_with: as for `evaluate`.

    Raises:
        ValueError: the policy is unknown, or *dev* has other labels than the artifact.
    """
    probabilities_NK = predict(trained, dev)
    thresholds = choose_thresholds(probabilities_NK, dev, policy)
    found = reference(trained, probabilities_NK, dev, learnt_from(trained, shared_with))
    tuned = replace(trained, thresholds=thresholds, reference=found)
    return replace(tuned, metrics={"dev": measured(tuned, probabilities_NK, dev, shared_with=shared_with)})


def reference(trained: Artifact, probabilities_NK: Floats, dev: Split, train: Split | None) -> Reference:
    """What drift is told from: scores and tokens of *dev*, which the model has not learnt by heart.

    Label rates are those of *train*; where that is not at hand, those that the artifact has; else those of *dev*.
    """
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)(dev.texts)
    counted = dev if train is None else train  # whose labels may stand in another order
    rates_K = counted.targets_NK.mean(axis=0, dtype=np.float64)
    rate_of = dict(zip(counted.labels, rates_K, strict=True))
    rates = {label: round(float(rate_of[label]), 6) for label in dev.labels}
    if train is None and trained.reference is not None:
        rates = dict(trained.reference.label_rates)
    return Reference.of(probabilities_NK, tokens, rates)


def calibrate(trained: Artifact, dev: Split) -> Artifact:
    """*trained* with Platt scaling fitted on *dev* and folded into its last layer: other weights, another version.

    The layer is rounded as the artifact stores it. Thresholds and figures are the old weights': `tune` has to follow.
    """
    scale_K, shift_K = platt(predict(trained, dev), dev.targets_NK)
    weights = folded(trained.weights, scale_K, shift_K)
    stored = getattr(torch, trained.weights_dtype or "float32")
    for name in CALIBRATED:
        weights[name] = torch.from_numpy(weights[name]).to(stored).float().numpy()
    record = {"method": "platt", "data_sha256": dev.sha256, "texts": len(dev)}
    return replace(trained, weights=weights, training={**trained.training, "calibration": record})


def choose_thresholds(probabilities_NK: Floats, dev: Split, policy: str) -> Thresholds:
    """Thresholds by policy.

    `f1`: the best of each label on *dev*. `precision@p`: the smallest of each label whose precision on *dev* is at
    least p; 1 for a label that never gets there, which is then never given. `fixed:t`: t for all.

    Raises:
        ValueError: the policy is unknown.
    """
    kind, number = parse(policy)
    if kind == "fixed":
        return Thresholds.fixed(dev.labels, number)
    if kind == "precision":
        precise_K = precise_thresholds(probabilities_NK, dev.targets_NK, least=number)
        return Thresholds(dev.labels, tuple(float(t) for t in precise_K), f"precision@{number:g}", dev.sha256)
    best_K = best_f1_thresholds(probabilities_NK, dev.targets_NK)
    return Thresholds(dev.labels, tuple(round(float(t), 4) for t in best_K), "f1", dev.sha256)


def precise_thresholds(probabilities_NK: Floats, targets_NK: Floats, *, least: float) -> Floats:
    """The smallest threshold of each label at which its precision on these rows is at least *least*, [K].

    It is the probability of the last row that still gets the label; 1 where no threshold does.
    """
    thresholds_K = np.ones(probabilities_NK.shape[1], dtype=np.float32)
    for k in range(len(thresholds_K)):
        order = np.argsort(-probabilities_NK[:, k], kind="stable")
        score_N, hit_N = probabilities_NK[order, k], targets_NK[order, k].astype(np.float64)
        precise_N = np.cumsum(hit_N) / np.arange(1, len(hit_N) + 1) >= least
        precise_N &= np.append(score_N[1:] != score_N[:-1], True)  # equal scores cannot be cut apart
        if precise_N.any():
            thresholds_K[k] = score_N[np.flatnonzero(precise_N)[-1]]
    return np.clip(thresholds_K, 1e-6, 1.0)
