"""Thresholds for weights that are there: chosen by a policy, with the figures that follow from them."""

from dataclasses import replace

from model.artifact import Artifact
from model.thresholds import Thresholds

from .data import Split
from .evaluate import cost_of_int8, figures, predict
from .metrics import Floats, best_f1_thresholds


def tune(trained: Artifact, dev: Split, policy: str, *, shared_with: Split | None = None) -> Artifact:
    """*trained* with new thresholds and with the figures on *dev* that they give; all else as it was.

    Figures of the old thresholds, on whatever data, are left behind: they are no longer this artifact's.

    Args:
        policy: as for `choose_thresholds`.
        shared_with: as for `evaluate`.

    Raises:
        ValueError: the policy is unknown, or *dev* has other labels than the artifact.
    """
    probabilities_NK = predict(trained, dev)
    thresholds = choose_thresholds(probabilities_NK, dev, policy)
    measured = figures(probabilities_NK, thresholds, dev, shared_with=shared_with)
    measured["int8"] = cost_of_int8(trained, probabilities_NK, dev)
    return replace(trained, thresholds=thresholds, metrics={"dev": measured})


def choose_thresholds(probabilities_NK: Floats, dev: Split, policy: str) -> Thresholds:
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
