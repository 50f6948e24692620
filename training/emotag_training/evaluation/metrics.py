"""Metrics: every figure that follows from the probabilities [N, K] and the targets [N, K]."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from emotag_model.thresholds import decide

from .platt import LEVEL_PRIOR, Pairs, apply_platt, fit_platt, invert_platt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Cuts = npt.NDArray[np.float64]

REFERENCE_THRESHOLD = 0.51
CROSS_VALIDATION_REPEATS = 20
CALIBRATION_BINS = 15
TRUST = 0.5
"""Weight of the model's probability against the annotators' label when thresholds are tuned."""


def find_best_f1_thresholds(probabilities_NK: Floats, targets_NK: Floats, *, trust: float = TRUST) -> Floats:
    """Return the threshold of each label with the best expected F1 on these rows, [K].

    The probabilities of a model can all be too high or too low: some losses make them so. Therefore the cuts are chosen
    on probabilities that are calibrated on these rows, and each cut is mapped back to the model's own probabilities.
    The decisions then depend only on the order of the scores, not on their level.

    Args:
        trust: as for `find_best_f1_cuts`.
    """
    pair = fit_platt(probabilities_NK, targets_NK, prior=LEVEL_PRIOR)
    cuts_K = find_best_f1_cuts(apply_platt(probabilities_NK, *pair), targets_NK, trust=trust)
    return map_cuts(cuts_K, pair)


def map_cuts(cuts_K: Cuts, pair: tuple[Pairs, Pairs]) -> Floats:
    """Return the thresholds for a model's own probabilities, [K], from cuts of its probabilities scaled by *pair*."""
    return np.clip(invert_platt(cuts_K, *pair), 1e-6, 1.0).astype(np.float32)


def find_best_f1_cuts(calibrated_NK: Cuts, targets_NK: Floats, *, trust: float = TRUST) -> Cuts:
    """Return the cut of each label with the best expected F1 on these rows, [K].

    A rare label has a dozen positive rows on dev, and the cut that suits these rows is luck. So a row counts as
    positive by a blend of its target and its probability: the probabilities of all other rows steady the cut.
    (With the probabilities alone this is the maximiser of expected F1 of a calibrated model, Lipton, Elkan and
    Naryanaswamy 2014, arXiv:1402.1892.) The cut is halfway between two neighbouring probabilities.

    Args:
        calibrated_NK: probabilities that can be believed, as `apply_platt` returns them.
        trust: the probability's share of the blend; 0 takes the targets alone. A label without any positive row then
            gets 0.5.
    """
    cuts_K = np.full(calibrated_NK.shape[1], 0.5)
    for k in range(calibrated_NK.shape[1]):
        order = np.argsort(-calibrated_NK[:, k], kind="stable")
        score_N = calibrated_NK[order, k]
        hit_N = (1 - trust) * targets_NK[order, k] + trust * score_N
        positives = hit_N.sum()
        if not positives:
            continue
        # F1 of giving the label to the first n rows, n = 1..N; no threshold separates equal scores.
        f1_N = 2 * np.cumsum(hit_N) / (np.arange(1, len(hit_N) + 1) + positives)
        below_N = np.append(score_N[1:], 0.0)
        f1_N[score_N == below_N] = 0
        best = int(f1_N.argmax())
        cuts_K[k] = (score_N[best] + below_N[best]) / 2
    return cuts_K


def cross_validate_macro_f1(
    probabilities_NK: Floats, targets_NK: Floats, *, scored_NK: Floats | None = None, trust: float = TRUST
) -> tuple[float, float]:
    """Return mean and standard deviation of macro F1 over the repetitions of `cross_validate_f1`."""
    scores_S = cross_validate_f1(probabilities_NK, targets_NK, scored_NK=scored_NK, trust=trust).mean(1)
    return float(scores_S.mean()), float(scores_S.std())


def cross_validate_f1(
    probabilities_NK: Floats, targets_NK: Floats, *, scored_NK: Floats | None = None, trust: float = TRUST
) -> Cuts:
    """Return the F1 of each label by repeated 2-fold cross-validation: tuned on one half, measured on the other.

    Args:
        scored_NK: as for `cross_validate_decisions`.
        trust: as for `find_best_f1_cuts`.

    Returns:
        F1 of each repetition and label, [S, K]. The half that tunes the thresholds also fits the calibration that they
        are tuned through, so no row is scored by anything that it decided. Tuned and scored on the same rows, macro F1
        would be about 0.025 higher on GoEmotions dev, and mean nothing.
    """
    choose = partial(find_best_f1_thresholds, trust=trust)
    decided = cross_validate_decisions(probabilities_NK, targets_NK, choose=choose, scored_NK=scored_NK)
    truth_NK = targets_NK.astype(bool)
    return np.stack([compute_f1(*_count_decisions(decided_NK, truth_NK)) for decided_NK in decided])


def cross_validate_decisions(
    probabilities_NK: Floats,
    targets_NK: Floats,
    *,
    choose: Callable[[Floats, Floats], Floats] = find_best_f1_thresholds,
    scored_NK: Floats | None = None,
    splits: int = CROSS_VALIDATION_REPEATS,
    seed: int = 0,
) -> Iterator[Bools]:
    """Yield the decisions [N, K] of each repetition, each row by thresholds that were chosen on the other half.

    Args:
        choose: returns thresholds [K] from the probabilities and targets of some rows.
        scored_NK: probabilities that the thresholds are applied to, if others than they are chosen on: those of the
            same texts by a model with rounded weights.
    """
    applied_NK = probabilities_NK if scored_NK is None else scored_NK
    for half_N in split_in_halves(len(targets_NK), splits=splits, seed=seed):
        decided_NK = np.empty(targets_NK.shape, dtype=bool)
        for chosen_N in (half_N, ~half_N):
            thresholds_K = choose(probabilities_NK[chosen_N], targets_NK[chosen_N])
            decided_NK[~chosen_N] = decide(applied_NK[~chosen_N], thresholds_K.tolist())
        yield decided_NK


def split_in_halves(rows: int, *, splits: int = CROSS_VALIDATION_REPEATS, seed: int = 0) -> Iterator[Bools]:
    """Yield which rows are in the first half, [N], *splits* times at random; every cross-validation uses these."""
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        yield rng.permutation(rows) % 2 == 0


def compute_calibration_errors(
    probabilities_NK: npt.NDArray[np.floating[Any]], targets_NK: Floats, *, bins: int = CALIBRATION_BINS
) -> npt.NDArray[np.float64]:
    """Return the expected calibration error of each label, [K]: the mean distance of predicted and true share in a bin.

    The bins hold equally many rows (Nguyen and O'Connor 2015, arXiv:1508.05154; Nixon et al. 2019, arXiv:1904.01685):
    of bins of equal width, all but the first would be nearly empty for a rare label. A perfectly calibrated model has
    some error too, since a bin's true share is itself an estimate: on GoEmotions dev 0.003 on average, 0.012 for
    neutral.
    """
    gap_NK = probabilities_NK - targets_NK.astype(np.float64)
    parts = (np.take_along_axis(gap_NK, rows_nK, axis=0) for rows_nK in split_into_bins(probabilities_NK, bins=bins))
    errors_K: npt.NDArray[np.float64] = sum(abs(part_nK.sum(0)) for part_nK in parts) / len(gap_NK)
    return errors_K


def split_into_bins(
    probabilities_NK: npt.NDArray[np.floating[Any]], *, bins: int = CALIBRATION_BINS
) -> list[npt.NDArray[np.int64]]:
    """Return the rows of each bin, [n, K]: for each label, its rows by probability in parts of equal size."""
    order_NK = np.argsort(probabilities_NK, axis=0, kind="stable")
    return np.array_split(order_NK, min(bins, len(order_NK)))


def find_ranked_labels(targets_NK: Floats) -> Bools:
    """Return the labels that ranking figures are defined for, [K]: some texts have them and some do not."""
    return np.asarray(targets_NK.any(axis=0) & ~targets_NK.all(axis=0))


def compute_macro_f1(decided_NK: Bools, targets_NK: Floats) -> float:
    """Return the mean over labels of F1; a label never given and never true counts as 0."""
    return float(compute_f1(*_count_decisions(decided_NK, targets_NK.astype(bool))).mean())


def _count_decisions(decided_NK: Bools, truth_NK: Bools) -> tuple[Counts, Counts, Counts]:
    """Return for each label how often it was rightly given, given, and true."""
    return (decided_NK & truth_NK).sum(0), decided_NK.sum(0), truth_NK.sum(0)


def _divide(part: Any, whole: Any) -> Any:
    """Return *part* / *whole*, and 0 for an empty whole.

    scikit-learn is not used for means over labels: it treats a single label as two classes, and averages over both.
    """
    return part / np.maximum(whole, 1)


def compute_metrics(
    probabilities_NK: Floats,
    targets_NK: Floats,
    thresholds: Sequence[float],
    labels: Sequence[str],
    *,
    rare: Sequence[str] = (),
) -> dict[str, Any]:
    """Return all figures of one evaluation that need no resampling.

    Ranking figures are means over the labels that they are defined for; the other labels are listed. Without any such
    label the figures are None.

    Args:
        probabilities_NK: the model's output.
        targets_NK: 1.0 where a text has a label.
        thresholds: the artifact's own, K of them. Figures under `own_thresholds` flatter where these rows tuned them.
        labels: K names.
        rare: the labels that `without_rare_labels` leaves out.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes a second

    decided_NK = decide(probabilities_NK, thresholds)
    f1_SK = cross_validate_f1(probabilities_NK, targets_NK)
    targets_alone, _ = cross_validate_macro_f1(probabilities_NK, targets_NK, trust=0.0)
    scored_K = find_ranked_labels(targets_NK)
    hit_K, given_K, true_K = _count_decisions(decided_NK, targets_NK.astype(bool))
    return {
        "texts": len(targets_NK),
        **_summarise_f1(f1_SK),
        "macro_f1_cross_validated_on_targets_alone": round(targets_alone, 4),
        "roc_auc": _average_labels(roc_auc_score, probabilities_NK, targets_NK, scored_K),
        "mean_average_precision": _average_labels(average_precision_score, probabilities_NK, targets_NK, scored_K),
        **_leave_out_rare(f1_SK, labels, rare),
        "left_out_of_ranking": [label for label, kept in zip(labels, scored_K, strict=True) if not kept],
        "at_0.51": _score_decisions(probabilities_NK >= REFERENCE_THRESHOLD, targets_NK),
        "at_0.3": _score_decisions(probabilities_NK >= 0.3, targets_NK),
        "own_thresholds": _score_decisions(decided_NK, targets_NK),
        "per_label": {
            label: {
                "support": int(true_K[k]),
                "threshold": _round(thresholds[k]),
                "precision": _round(_divide(hit_K[k], given_K[k])),
                "recall": _round(_divide(hit_K[k], true_K[k])),
                "f1": _round(compute_f1(hit_K[k], given_K[k], true_K[k])),
                "average_precision": _round(average_precision_score(targets_NK[:, k], probabilities_NK[:, k]))
                if scored_K[k]
                else None,
            }
            for k, label in enumerate(labels)
        },
    }


def _summarise_f1(f1_SK: Cuts) -> dict[str, float]:
    scores_S = f1_SK.mean(1)
    return {
        "macro_f1_cross_validated": _round(scores_S.mean()),
        "macro_f1_cross_validated_std": _round(scores_S.std()),
    }


def _leave_out_rare(f1_SK: Cuts, labels: Sequence[str], rare: Sequence[str]) -> dict[str, Any]:
    """Return the figures without rare labels; empty if no label is rare, or every label."""
    frequent_K = np.array([label not in rare for label in labels])
    if frequent_K.all() or not frequent_K.any():
        return {}
    return {"without_rare_labels": {"left_out": list(rare), **_summarise_f1(f1_SK[:, frequent_K])}}


def _score_decisions(decided_NK: npt.NDArray[np.bool_], targets_NK: Floats) -> dict[str, float]:
    truth_NK = targets_NK.astype(bool)
    hit_K, given_K, true_K = _count_decisions(decided_NK, truth_NK)
    return {
        "macro_f1": _round(compute_macro_f1(decided_NK, targets_NK)),
        "micro_f1": _round(compute_f1(hit_K.sum(), given_K.sum(), true_K.sum())),
        "macro_precision": _round(_divide(hit_K, given_K).mean()),
        "macro_recall": _round(_divide(hit_K, true_K).mean()),
        "mcc_micro": _round(compute_matthews(hit_K.sum(), given_K.sum(), true_K.sum(), truth_NK.size)),
        "mcc_macro": _round(compute_matthews(hit_K, given_K, true_K, len(truth_NK)).mean()),
        "auc_binarised": _round(compute_binarised_auc(hit_K, given_K, true_K, len(truth_NK)).mean()),
    }


def compute_f1(hits: Any, given: Any, true: Any) -> Any:
    """Return F1 from counts, as for `compute_matthews`; 0 for a label never given and never true."""
    return _divide(2 * hits, given + true)


def compute_binarised_auc(hits: Any, given: Any, true: Any, texts: int) -> Any:
    """Return the AUC of 0/1 decisions, (1 + TPR - FPR) / 2: the reference model reports it as AUC; not ROC-AUC."""
    return (1 + _divide(hits, true) - _divide(given - hits, texts - true)) / 2


def compute_matthews(hits: Any, given: Any, true: Any, decisions: int) -> Any:
    """Return Matthews' correlation from counts; 0 if it is undefined, as in scikit-learn.

    Args:
        hits: number of rightly positive decisions, a number or an array.
        given: number of positive decisions.
        true: number of decisions that should be positive.
    """
    hits, given, true = (np.asarray(counts, dtype=np.float64) for counts in (hits, given, true))
    spread = np.sqrt(given * (decisions - given)) * np.sqrt(true * (decisions - true))
    return (decisions * hits - given * true) / np.where(spread > 0, spread, np.inf)


def _average_labels(
    figure: Callable[..., Any], probabilities_NK: Floats, targets_NK: Floats, kept_K: Bools
) -> float | None:
    """Return the mean of a ranking figure over some labels."""
    if not kept_K.any():
        return None
    return _round(np.mean([figure(targets_NK[:, k], probabilities_NK[:, k]) for k in np.flatnonzero(kept_K)]))


def _round(value: Any) -> float:
    return round(float(value), 4)
