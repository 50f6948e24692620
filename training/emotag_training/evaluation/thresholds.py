"""Threshold policies, by their names in recipes and on the command line.

f1              the threshold of each label with the best expected F1 on dev, whatever the level of the scores
precision@P     the smallest threshold of each label whose precision on dev is at least P
fixed:T         T for all labels
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from emotag_model.thresholds import Thresholds
from emotag_training.data.split import Split
from emotag_training.errors import PolicyError

from .metrics import Floats, find_best_f1_thresholds

POLICIES = "f1, precision@P or fixed:T, P and T in (0, 1]"


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
        PolicyError: the policy is unknown, or its number is missing or outside (0, 1].
    """
    if policy == "f1":
        return BestF1()
    if policy.startswith("precision@"):
        return AtPrecision(_parse_share(policy.removeprefix("precision@"), policy))
    if policy.startswith("fixed:"):
        return Fixed(_parse_share(policy.removeprefix("fixed:"), policy))
    raise PolicyError(f"threshold policy {policy!r} is unknown; use {POLICIES}")


def choose_thresholds(probabilities_NK: Floats, dev: Split, policy: str) -> Thresholds:
    """Return the thresholds that *policy* gives on *dev*, and record the policy with them.

    A label that never reaches the precision of `precision@P` gets 1, so it is never given.

    Raises:
        PolicyError: the policy is unknown.
    """
    match parse_policy(policy):
        case BestF1():
            best_K = find_best_f1_thresholds(probabilities_NK, dev.targets_NK)
            return Thresholds(dev.labels, tuple(round(float(t), 6) for t in best_K), "f1", dev.sha256)
        case AtPrecision(least):
            precise_K = find_precise_thresholds(probabilities_NK, dev.targets_NK, least=least)
            return Thresholds(dev.labels, tuple(float(t) for t in precise_K), f"precision@{least:g}", dev.sha256)
        case Fixed(value):
            return Thresholds.fixed(dev.labels, value)
        case unknown:
            assert_never(unknown)


def find_precise_thresholds(probabilities_NK: Floats, targets_NK: Floats, *, least: float) -> Floats:
    """Return the smallest threshold of each label at which its precision on these rows is at least *least*, [K].

    The threshold is the probability of the last row that still gets the label; 1 if no threshold reaches the precision.
    """
    thresholds_K = np.ones(probabilities_NK.shape[1], dtype=np.float32)
    for k in range(len(thresholds_K)):
        order = np.argsort(-probabilities_NK[:, k], kind="stable")
        score_N, hit_N = probabilities_NK[order, k], targets_NK[order, k].astype(np.float64)
        precise_N = np.cumsum(hit_N) / np.arange(1, len(hit_N) + 1) >= least
        precise_N &= np.append(score_N[1:] != score_N[:-1], True)  # no threshold separates equal scores
        if precise_N.any():
            thresholds_K[k] = score_N[np.flatnonzero(precise_N)[-1]]
    return np.clip(thresholds_K, 1e-6, 1.0)


def _parse_share(value: str, policy: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise PolicyError(f"threshold policy {policy!r} needs a number over 0 and up to 1; use {POLICIES}")
    return share
