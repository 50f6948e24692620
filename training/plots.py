"""What a model does on labelled texts, drawn: probabilities [N, K], targets [N, K] and thresholds in, a figure out.

Every figure stands alone: pyplot's belong to the process and are never touched. A label's panel is the same place in
all figures of small multiples; where a label has no positives, its panel says so.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve

from model.thresholds import Thresholds

from .metrics import Bools, Floats, calibration_errors, equal_count_bins
from .panels import (
    CUT,
    INK,
    MODEL,
    NEGATIVE,
    PALE,
    POSITIVE,
    absent,
    legend,
    multiples,
    name,
    name_axes,
    plain,
    sheet,
    unit,
)

DPI = 110
CURVES = {
    "train_loss": "training loss",
    "macro_f1_cross_fitted": "macro F1, cross-fitted",
    "mean_average_precision": "mean average precision",
    "roc_auc": "ROC-AUC, macro",
}

Doubles = npt.NDArray[np.float64]


def png(figure: Figure) -> bytes:
    """The picture as a file's content."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def learning_curves(epochs: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Loss and dev figures of each epoch, a panel each; a ring around the epoch whose weights were kept.

    A figure that an epoch has not, or that was undefined, is a gap.
    """
    figure, panels = multiples(list(CURVES.values()), columns=2, width=3.6, height=2.3)
    for axes, key in zip(panels, CURVES, strict=True):
        values = {epoch["epoch"]: epoch.get(key) for epoch in epochs}
        numbers = np.array([np.nan if value is None else value for value in values.values()], dtype=np.float64)
        axes.plot(list(values), numbers, "o-", color=MODEL, markersize=4, gid="curve")
        kept = values.get(best_epoch)
        if best_epoch is not None and kept is not None:
            axes.plot([best_epoch], [kept], "o", color=CUT, markersize=10, fillstyle="none", label="weights kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=PALE, linewidth=0.5)
    figure.supxlabel("epoch", fontsize=9, color=INK)
    legend(figure)
    return figure


def label_f1(per_label: Mapping[str, Mapping[str, Any]]) -> Figure:
    """F1 of each label at its threshold, best first, with its interval.

    Args:
        per_label: as `evaluate` gives it: `f1`, `f1_interval`, `support` of each label.
    """
    ordered = sorted(per_label.items(), key=lambda item: (item[1]["support"] > 0, item[1]["f1"]))
    figure = sheet(7.2, 1.1 + 0.24 * len(ordered))
    axes = figure.subplots()
    plain(axes)
    for row, (_, of) in enumerate(ordered):
        if not of["support"]:
            axes.text(0.01, row, "no text has it", fontsize=8, color=POSITIVE, va="center", gid="absent")
            continue
        axes.hlines(row, *of["f1_interval"], color=MODEL, alpha=0.35, linewidth=5, label="95 % interval")
        axes.plot([of["f1"]], [row], "o", color=MODEL, markersize=5, gid="f1", label="F1")
    names = [f"{name(label)} ({of['support']:,})" for label, of in ordered]
    axes.set_yticks(range(len(ordered)), labels=names, fontsize=8.5)
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("F1 at the label's threshold", fontsize=9, color=INK)
    legend(figure)
    return figure


def precision_recall(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """Precision over recall of each label, a point where its threshold cuts, and what guessing would give."""
    decided_NK = thresholds.decide(probabilities_NK)
    figure, panels = multiples(_titles(targets_NK, thresholds.labels))
    for k, axes in enumerate(panels):
        unit(axes)
        true_N, given_N = targets_NK[:, k].astype(bool), decided_NK[:, k]
        if not true_N.any():
            absent(axes)
            continue
        precision, recall, _ = precision_recall_curve(true_N, probabilities_NK[:, k])
        axes.axhline(true_N.mean(), color=NEGATIVE, linestyle=":", linewidth=1, label="guessing")
        axes.plot(recall, precision, color=MODEL, linewidth=1.3, drawstyle="steps-post", gid="curve", label="model")
        if given_N.any():
            hits = (true_N & given_N).sum()
            point = [hits / true_N.sum()], [hits / given_N.sum()]
            axes.plot(*point, "o", color=POSITIVE, markersize=6, gid="threshold", label="at the threshold")
        else:
            axes.text(0.5, 0.5, "never given", ha="center", fontsize=8, color=POSITIVE)
    name_axes(figure, "recall", "precision")
    return figure


def reliability(probabilities_NK: Floats, targets_NK: Floats, labels: Sequence[str]) -> Figure:
    """The share that has a label over the share that was promised, in the bins of `calibration_errors`.

    Each panel is drawn to its own scale, and by square roots: a rare label's probabilities lie near 0, nearly all.
    """
    errors_K = calibration_errors(probabilities_NK, targets_NK)
    promised_QK, true_QK = _bin_means(probabilities_NK, targets_NK)
    titles = [f"{name(label)}, {error:.4f}" for label, error in zip(labels, errors_K, strict=True)]
    figure, panels = multiples(titles)
    for k, axes in enumerate(panels):
        end = 1.06 * max(promised_QK[:, k].max(), true_QK[:, k].max(), 1e-6)
        axes.plot([0, end], [0, end], color=NEGATIVE, linestyle=":", linewidth=1, label="promises kept")
        points = promised_QK[:, k], true_QK[:, k]
        style: dict[str, Any] = {"color": MODEL, "markersize": 3.5, "linewidth": 1, "clip_on": False}
        axes.plot(*points, "o-", gid="bins", label="model", **style)
        axes.set_xscale("function", functions=(_root, np.square))
        axes.set_yscale("function", functions=(_root, np.square))
        axes.set_xlim(0, end)
        axes.set_ylim(0, end)
        axes.set_box_aspect(1)
        ticks = _quarters(end)
        axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        if not targets_NK[:, k].any():
            absent(axes)
    name_axes(figure, "probability, mean of a bin (square roots)", "share that has the label (square roots)")
    return figure


def confusion(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """The 2 × 2 counts of each label: whether a text has it, and whether it was given. Darker is more of its row."""
    decided_NK = thresholds.decide(probabilities_NK)
    truth_NK = targets_NK.astype(bool)
    counts_22K = np.array(
        [
            [(rows_NK & columns_NK).sum(axis=0) for columns_NK in (decided_NK, ~decided_NK)]
            for rows_NK in (truth_NK, ~truth_NK)
        ]
    )
    figure, panels = multiples(_titles(targets_NK, thresholds.labels), width=1.9, height=1.55)
    for k, axes in enumerate(panels):
        counts_22 = counts_22K[:, :, k]
        share_22 = counts_22 / np.maximum(counts_22.sum(axis=1, keepdims=True), 1)
        axes.imshow(share_22, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), count in np.ndenumerate(counts_22):
            colour = "white" if share_22[row, column] > 0.6 else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=9, color=colour, gid="count")
        axes.set_xticks([0, 1], labels=["given", "not"])
        axes.set_yticks([0, 1], labels=["has it", "not"])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def cooccurrence(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """How often a text of one label has another too: by its raters, and as the model gives them at its thresholds.

    Grey where there is nothing to say: on the diagonal, and in the row of a label that no text has.
    """
    names = [name(label) for label in thresholds.labels]
    sides = {"true": targets_NK.astype(bool), "predicted": thresholds.decide(probabilities_NK)}
    shares = {title: conditional(side_NK) for title, side_NK in sides.items()}
    most = max(float(np.nan_to_num(share_KK).max()) for share_KK in shares.values())
    side = max(1.6, 0.2 * len(names))
    norm = PowerNorm(0.5, vmin=0, vmax=most or 1.0)  # else one strong pair leaves all others white
    figure = sheet(2 * side + 3.6, side + 1.35)
    for axes, (title, share_KK) in zip(figure.subplots(1, 2), shares.items(), strict=True):
        plain(axes)
        axes.set_facecolor(PALE)
        image = axes.imshow(share_KK, cmap="Blues", norm=norm, gid=title)
        having_K = sides[title].sum(axis=0)
        rows = [f"{label} ({having:,})" for label, having in zip(names, having_K, strict=True)]
        axes.set_xticks(range(len(names)), labels=names, rotation=90)
        axes.set_yticks(range(len(names)), labels=rows)
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        axes.set_title(title, fontsize=11, color=INK)
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.7, pad=0.01)
    bar.set_label("share of the row's texts that have the column's label too", fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8)
    return figure


def score_distributions(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """How many texts get which probability, those with the label and those without; counts are logarithmic."""
    edges = np.linspace(0, 1, 41)
    figure, panels = multiples(_titles(targets_NK, thresholds.labels))
    for k, axes in enumerate(panels):
        true_N = targets_NK[:, k].astype(bool)
        for rows_N, colour, title in ((~true_N, NEGATIVE, "without"), (true_N, POSITIVE, "with the label")):
            counts, _ = np.histogram(probabilities_NK[rows_N, k], edges)
            axes.stairs(counts, edges, baseline=0.5, fill=True, color=colour, alpha=0.25)
            axes.stairs(counts, edges, baseline=0.5, color=colour, linewidth=1.2, gid=title, label=title)
        axes.axvline(thresholds.values[k], color=CUT, linestyle="--", linewidth=1, gid="threshold", label="threshold")
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(0.7, 2 * len(targets_NK))
        axes.set_xlim(-0.01, 1.01)
        axes.set_xticks([0, 0.5, 1])
        if not true_N.any():
            absent(axes)
    name_axes(figure, "probability", "texts")
    return figure


def conditional(having_NK: Bools) -> Doubles:
    """P(column | row), [K, K]: of the texts with one label, the share that has another; NaN where it means nothing."""
    both_KK = having_NK.T.astype(np.float64) @ having_NK
    having_K1 = np.diag(both_KK)[:, None].copy()
    share_KK = np.divide(both_KK, having_K1, out=np.full_like(both_KK, np.nan), where=having_K1 > 0)
    np.fill_diagonal(share_KK, np.nan)
    return share_KK


def _bin_means(probabilities_NK: Floats, targets_NK: Floats) -> tuple[Doubles, Doubles]:
    """Promised and true share in each bin, both [Q, K]."""
    bins = equal_count_bins(probabilities_NK)
    promised_QK, true_QK = (
        np.stack([np.take_along_axis(values_NK, rows_nK, axis=0).mean(axis=0, dtype=np.float64) for rows_nK in bins])
        for values_NK in (probabilities_NK, targets_NK)
    )
    return promised_QK, true_QK


def _root(values: Doubles) -> Doubles:
    root: Doubles = np.sqrt(np.maximum(values, 0))
    return root


def _quarters(end: float) -> tuple[float, float, float]:
    """Ticks of a scale by square roots up to *end*: 0, a round number near it, and the one halfway there."""
    ten = 10.0 ** np.floor(np.log10(end))
    top = ten * max(step for step in (1, 2, 4, 8) if step * ten <= end)
    return 0.0, top / 4, top


def _titles(targets_NK: Floats, labels: Sequence[str]) -> list[str]:
    return [f"{name(label)} ({int(n):,})" for label, n in zip(labels, targets_NK.sum(axis=0), strict=True)]
