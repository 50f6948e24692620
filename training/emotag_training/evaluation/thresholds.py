"""Threshold policies, by their names in recipes and on the command line.

f1              the threshold of each label with the best expected F1 on dev, whatever the level of the scores
precision@P     the smallest threshold of each label at which dev shows a precision of at least P; see `Z`
fixed:T         T for all labels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from emotag_model.thresholds import Thresholds
from emotag_training.data.split import Split
from emotag_training.errors import PolicyError

from .metrics import (
    Cuts,
    Floats,
    compute_macro_f1,
    cross_validate_decisions,
    find_best_f1_cuts,
    find_best_f1_thresholds,
    map_cuts,
)
from .platt import LEVEL_PRIOR, apply_platt, fit_platt

POLICIES = "f1, precision@P or fixed:T, P and T in (0, 1], P below 1"

Z = 1.0
"""A label's precision above a cut counts as its Wilson lower bound at this many standard errors (84 %, one-sided).

Of many cuts the smallest one is taken, so the share of hits itself would flatter: `precision@0.9` kept only 0.87 on new
texts. Wilson's interval (1927) rather than Clopper and Pearson's, which guarantees more than was asked: with the dozens
of hits of a rare label, that is the difference between a threshold and none. Decision 33 has the measurements.
"""


@dataclass(frozen=True)
class BestF1:
    """The policy `f1`."""


@dataclass(frozen=True)
class AtPrecision:
    """The policy `precision@P`."""

    least: float


@dataclass(frozen=True)
class Fixed:
    """The policy `fixed:T`."""

    value: float


Policy = BestF1 | AtPrecision | Fixed


def parse_policy(policy: str) -> Policy:
    """Return the policy that a text such as `precision@0.8` names.

    Raises:
        PolicyError: the policy is unknown, or its number is missing or out of range.
    """
    if policy == "f1":
        return BestF1()
    if policy.startswith("precision@"):
        least = _parse_share(policy.removeprefix("precision@"), policy)
        if least == 1:
            raise PolicyError(f"threshold policy {policy!r}: no number of texts shows a precision of 1; use less")
        return AtPrecision(least)
    if policy.startswith("fixed:"):
        return Fixed(_parse_share(policy.removeprefix("fixed:"), policy))
    raise PolicyError(f"threshold policy {policy!r} is unknown; use {POLICIES}")


@dataclass(frozen=True)
class HeldOut:
    """Predictions of other models for texts that these had not trained on, and the annotators' labels.

    There are far more of such texts than in dev, because folds of the training texts have been predicted in turn.

    Attributes:
        probabilities_NK: the predictions.
        targets_NK: 1.0 if a text has a label.
        data_sha256: of the file that the texts were read from.
    """

    probabilities_NK: Floats
    targets_NK: Floats
    data_sha256: str


def choose_thresholds(
    probabilities_NK: Floats, dev: Split, policy: str, *, held_out: HeldOut | None = None
) -> Thresholds:
    """Return the thresholds that *policy* gives, and record the policy with them.

    A label that never reaches the precision of `precision@P` gets 1, so it is never given.

    Args:
        probabilities_NK: the model's output on *dev*.
        held_out: `f1` chooses its cuts on these predictions instead of *dev*; the other policies do not use them.

    Raises:
        PolicyError: the policy is unknown.
    """
    match parse_policy(policy):
        case BestF1():
            if held_out is None:
                best_K, sha256 = find_best_f1_thresholds(probabilities_NK, dev.targets_NK), dev.sha256
            else:
                best_K, sha256 = transfer_thresholds(held_out, probabilities_NK, dev.targets_NK), held_out.data_sha256
            return Thresholds(dev.labels, tuple(round(float(t), 6) for t in best_K), "f1", sha256)
        case AtPrecision(least):
            precise_K = find_precise_thresholds(probabilities_NK, dev.targets_NK, least=least)
            return Thresholds(dev.labels, tuple(float(t) for t in precise_K), f"precision@{least:g}", dev.sha256)
        case Fixed(value):
            return Thresholds.fixed(dev.labels, value)
        case unknown:
            assert_never(unknown)


def transfer_thresholds(held_out: HeldOut, probabilities_NK: Floats, targets_NK: Floats) -> Floats:
    """Return the thresholds of a model, [K], from cuts with the best expected F1 of other models' predictions.

    The cut of a calibrated model depends on how well it ranks a label. So the other models must rank about as well as
    this one: its teachers do. Calibration makes both speak of the same probabilities.

    Args:
        probabilities_NK: the model's output on dev, which only fits its calibration.
        targets_NK: of dev.
    """
    return map_cuts(_find_cuts(held_out), fit_platt(probabilities_NK, targets_NK, prior=LEVEL_PRIOR))


def cross_validate_transfer(held_out: HeldOut, probabilities_NK: Floats, targets_NK: Floats) -> dict[str, float]:
    """Return macro F1 at the thresholds of `transfer_thresholds`, fitted on one half of dev and measured on the other.

    Returns:
        `macro_f1` and `std`: mean and standard deviation over the repetitions of `cross_validate_decisions`.
    """
    cuts_K = _find_cuts(held_out)

    def choose(fitted_nK: Floats, true_nK: Floats) -> Floats:
        return map_cuts(cuts_K, fit_platt(fitted_nK, true_nK, prior=LEVEL_PRIOR))

    decided = cross_validate_decisions(probabilities_NK, targets_NK, choose=choose)
    scores = [compute_macro_f1(decided_NK, targets_NK) for decided_NK in decided]
    return {"macro_f1": round(float(np.mean(scores)), 4), "std": round(float(np.std(scores)), 4)}


def _find_cuts(held_out: HeldOut) -> Cuts:
    """Return the cuts with the best expected F1 of the other models' calibrated predictions, [K]."""
    pair = fit_platt(held_out.probabilities_NK, held_out.targets_NK, prior=LEVEL_PRIOR)
    return find_best_f1_cuts(apply_platt(held_out.probabilities_NK, *pair), held_out.targets_NK)


def find_precise_thresholds(probabilities_NK: Floats, targets_NK: Floats, *, least: float) -> Floats:
    """Return the smallest threshold of each label at which these rows show a precision of at least *least*, [K].

    They show it if the lower bound of the precision reaches *least*. The threshold is the probability of the last row
    that still gets the label; 1 if no threshold reaches the precision.
    """
    thresholds_K = np.ones(probabilities_NK.shape[1], dtype=np.float32)
    for k in range(len(thresholds_K)):
        order = np.argsort(-probabilities_NK[:, k], kind="stable")
        score_N, hit_N = probabilities_NK[order, k], targets_NK[order, k].astype(np.float64)
        precise_N = compute_lower_bound(np.cumsum(hit_N), np.arange(1, len(hit_N) + 1)) >= least
        precise_N &= np.append(score_N[1:] != score_N[:-1], True)  # no threshold separates equal scores
        if precise_N.any():
            thresholds_K[k] = score_N[np.flatnonzero(precise_N)[-1]]
    return np.clip(thresholds_K, 1e-6, 1.0)


def compute_lower_bound(hits_N: npt.NDArray[Any], given_N: npt.NDArray[Any], *, z: float = Z) -> Cuts:
    """Return Wilson's lower bound of the share hits / given, at *z* standard errors."""
    share_N = hits_N / given_N
    spread_N: Cuts = z * np.sqrt(share_N * (1 - share_N) / given_N + (z / (2 * given_N)) ** 2)
    bound_N: Cuts = (share_N + z**2 / (2 * given_N) - spread_N) / (1 + z**2 / given_N)
    return bound_N


def cross_validate_precision(
    probabilities_NK: Floats, targets_NK: Floats, labels: Sequence[str], *, least: float
) -> dict[str, Any]:
    """Return the precision of `precision@P` on rows that chose no threshold, by repeated 2-fold cross-validation.

    Returns:
        `mean`: over all pairs of a repetition and a label that the repetition gave at least once. `of_all_decisions`:
        the share of hits among all labels given. `per_label`: the same for each label; None if it was never given.
    """
    truth_NK = targets_NK.astype(bool)
    choose = partial(find_precise_thresholds, least=least)
    decided = [*cross_validate_decisions(probabilities_NK, targets_NK, choose=choose)]
    given_SK = np.stack([decided_NK.sum(0) for decided_NK in decided])
    hits_SK = np.stack([(decided_NK & truth_NK).sum(0) for decided_NK in decided])
    share_SK = hits_SK / np.where(given_SK, given_SK, 1)
    return {
        "least": least,
        "mean": _divide_or_none(share_SK.sum(), (given_SK > 0).sum()),
        "of_all_decisions": _divide_or_none(hits_SK.sum(), given_SK.sum()),
        "per_label": {
            label: _divide_or_none(hits, given)
            for label, hits, given in zip(labels, hits_SK.sum(0), given_SK.sum(0), strict=True)
        },
    }


def _divide_or_none(part: float, whole: float) -> float | None:
    return round(float(part / whole), 4) if whole else None


def _parse_share(value: str, policy: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise PolicyError(f"threshold policy {policy!r} needs a number over 0 and up to 1; use {POLICIES}")
    return share
