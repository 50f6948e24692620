"""The bootstrap: intervals of one model's figures, and differences of two models on the same texts.

    rows drawn with replacement, as counts [R, N] → every figure under every count at once → percentiles

A resample is a row of counts, how often each text was drawn. So F1 and MCC of all resamples are one matrix product,
and a ranking figure is one cumulated sum over texts in the order of their scores.

Percentile intervals: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. They say how far a
figure may lie from that of all texts like these. They do not cover what another seed of the training would change.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.thresholds import decide

from .metrics import (
    REFERENCE_THRESHOLD,
    Floats,
    compute_binarised_auc,
    compute_f1,
    compute_matthews,
    cross_validate_decisions,
)

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
AT_ONCE = 2_000_000
"""The number of counts that are ranked at once: each takes some 32 bytes."""

Draws = npt.NDArray[np.float64]


def resample(rows: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Return how often each row was drawn in each resample, [R, N]; each resample sums to N."""
    rng = np.random.default_rng(seed)
    drawn_RN = np.empty((resamples, rows), dtype=np.float32)
    for counts_N in drawn_RN:
        counts_N[:] = np.bincount(rng.integers(0, rows, rows), minlength=rows)
    return drawn_RN


def compute_draws(
    probabilities_NK: Floats, targets_NK: Floats, thresholds: Sequence[float], drawn_RN: Floats
) -> dict[str, Draws]:
    """Return each figure under each resample: [R], and [R, K] for `f1` of each label at its own threshold.

    A ranking figure is the mean over the labels it is defined for in that resample, and NaN without such a label.
    Cross-validated thresholds are tuned once on the texts, not again in each resample: a text drawn twice would be in
    both halves.
    """
    own_NK = decide(probabilities_NK, thresholds)
    own = _count_draws(own_NK, targets_NK, drawn_RN)
    original = _count_draws(probabilities_NK >= REFERENCE_THRESHOLD, targets_NK, drawn_RN)
    halved = [
        compute_f1(*_count_draws(decided_NK, targets_NK, drawn_RN)).mean(1)
        for decided_NK in cross_validate_decisions(probabilities_NK, targets_NK)
    ]
    curves = [_rank(probabilities_NK[:, k], targets_NK[:, k], drawn_RN) for k in range(targets_NK.shape[1])]
    size = targets_NK.size
    return {
        "macro_f1_cross_validated": np.mean(halved, axis=0),
        "macro_f1_own_thresholds": compute_f1(*own).mean(1),
        "roc_auc": _average_defined(np.stack([auc_R for auc_R, _ in curves], axis=1)),
        "mean_average_precision": _average_defined(np.stack([precision_R for _, precision_R in curves], axis=1)),
        "mcc_micro_at_0.51": _correlate_all(original, size),
        "mcc_micro_own_thresholds": _correlate_all(own, size),
        "macro_f1_at_0.51": compute_f1(*original).mean(1),
        "mcc_macro_at_0.51": compute_matthews(*original, len(targets_NK)).mean(1),
        "auc_binarised_at_0.51": compute_binarised_auc(*original, len(targets_NK)).mean(1),
        "f1": compute_f1(*own),
    }


def compute_intervals(
    probabilities_NK: Floats,
    targets_NK: Floats,
    thresholds: Sequence[float],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Any]:
    """Return the interval of each figure of `compute_draws`, [low, high]; `f1` has one for each label, in order."""
    drawn_RN = resample(len(targets_NK), resamples=resamples, seed=seed)
    found = compute_draws(probabilities_NK, targets_NK, thresholds, drawn_RN)
    f1_RK = found.pop("f1")
    return {
        "level": LEVEL,
        "resamples": resamples,
        "seed": seed,
        **{name: compute_interval(values_R) for name, values_R in found.items()},
        "f1": [compute_interval(values_R) for values_R in f1_RK.T],
    }


def compute_interval(values_R: Draws) -> list[float] | None:
    """Return the middle 95 % of some draws; None if the figure is undefined in all of them."""
    defined = values_R[~np.isnan(values_R)]
    if not len(defined):
        return None
    tail = (1 - LEVEL) / 2
    return [round(float(value), 4) for value in np.quantile(defined, (tail, 1 - tail))]


def compute_differences(
    probabilities: tuple[Floats, Floats],
    thresholds: tuple[Sequence[float], Sequence[float]],
    targets_NK: Floats,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, dict[str, Any]]:
    """Return how far the second of two models is ahead on the same texts, and if the difference is significant.

    Both are measured on the same resamples, so a hard text affects both equally (the paired bootstrap;
    Berg-Kirkpatrick et al. 2012, "An Empirical Investigation of Statistical Significance in NLP").

    Returns:
        For each figure `a`, `b`, `difference` (b - a), its `interval`, `p` and `shown` (true if the interval
        excludes 0). `p` is two-sided: twice the share of resamples on the smaller side of 0, at least
        2 / (resamples + 1).
        A figure that is undefined on these texts is left out.
    """
    resampled_RN = resample(len(targets_NK), resamples=resamples, seed=seed)
    # Row 0 has every text once: the figures as they are.
    drawn_RN = np.concatenate([np.ones((1, len(targets_NK)), dtype=np.float32), resampled_RN])
    of_a, of_b = (
        compute_draws(values_NK, targets_NK, cuts, drawn_RN)
        for values_NK, cuts in zip(probabilities, thresholds, strict=True)
    )
    found = {}
    for name in (name for name in of_a if name != "f1"):
        a, b = float(of_a[name][0]), float(of_b[name][0])
        ahead_R = of_b[name][1:] - of_a[name][1:]
        ahead_R = ahead_R[~np.isnan(ahead_R)]
        between = compute_interval(ahead_R)
        if np.isnan(b - a) or between is None:
            continue
        side = min((ahead_R <= 0).sum(), (ahead_R >= 0).sum())
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(ahead_R, (tail, 1 - tail))
        found[name] = {
            "a": round(a, 4),
            "b": round(b, 4),
            "difference": round(b - a, 4) + 0.0,  # never -0.0
            "interval": between,
            "p": round(min(1.0, 2 * (float(side) + 1) / (len(ahead_R) + 1)), 4),
            "shown": bool(low > 0 or high < 0),
        }
    return found


def _count_draws(decided_NK: npt.NDArray[np.bool_], targets_NK: Floats, drawn_RN: Floats) -> tuple[Draws, Draws, Draws]:
    """Return the counts rightly given, given and true, each [R, K]."""
    decided = decided_NK.astype(np.float32)
    hits_RK, given_RK, true_RK = (
        (drawn_RN @ of_NK).astype(np.float64) for of_NK in (decided * targets_NK, decided, targets_NK)
    )
    return hits_RK, given_RK, true_RK


def _correlate_all(counts: tuple[Draws, Draws, Draws], decisions: int) -> Draws:
    hits_R, given_R, true_R = (counts_RK.sum(1) for counts_RK in counts)
    mcc_R: Draws = compute_matthews(hits_R, given_R, true_R, decisions)
    return mcc_R


def _rank(scores_N: Floats, targets_N: Floats, drawn_RN: Floats) -> tuple[Draws, Draws]:
    """Return ROC-AUC and average precision of one label, each [R]; equal scores are tied, as in scikit-learn."""
    order = np.argsort(-scores_N, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(scores_N[order]) != 0))
    parts = np.array_split(drawn_RN, max(1, min(len(drawn_RN), drawn_RN.size // AT_ONCE)))
    found = [_rank_ordered(part_RN[:, order], targets_N[order], starts) for part_RN in parts]
    auc_R, precise_R = (np.concatenate(of_parts) for of_parts in zip(*found, strict=True))
    return auc_R, precise_R


def _rank_ordered(drawn_RN: Floats, targets_N: Floats, starts: npt.NDArray[np.intp]) -> tuple[Draws, Draws]:
    """Return the same for rows in the order of their scores; *starts* are the first rows of each score."""
    all_RG, true_RG = drawn_RN, drawn_RN * targets_N
    if len(starts) < len(targets_N):
        all_RG, true_RG = (np.add.reduceat(counts, starts, axis=1) for counts in (all_RG, true_RG))
    above_RG = np.cumsum(true_RG, axis=1)
    passed_RG = np.cumsum(all_RG, axis=1)
    true_R, rows_R = above_RG[:, -1].astype(np.float64), passed_RG[:, -1].astype(np.float64)
    outranked_R = np.einsum("rg,rg->r", all_RG - true_RG, above_RG - true_RG / 2, dtype=np.float64)
    precise_R = np.einsum("rg,rg->r", true_RG, above_RG / np.maximum(passed_RG, 1), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        both_R = (true_R > 0) & (true_R < rows_R)
        auc_R = np.where(both_R, outranked_R / (true_R * (rows_R - true_R)), np.nan)
        return auc_R, np.where(both_R, precise_R / true_R, np.nan)


def _average_defined(values_RK: Draws) -> Draws:
    defined_R = (~np.isnan(values_RK)).sum(1)
    return np.where(defined_R > 0, np.nansum(values_RK, axis=1) / np.maximum(defined_R, 1), np.nan)
