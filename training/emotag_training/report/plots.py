"""Plots of a model on labelled texts: probabilities [N, K], targets [N, K] and thresholds in, a figure out.

Figures are independent: pyplot's global state is never used. A label has the same panel in all figures of small
multiples; if a label has no positives, its panel shows a note.
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

from emotag_model.thresholds import Thresholds
from emotag_training.evaluation.metrics import Bools, Floats, compute_calibration_errors, split_into_bins

from .axes import (
    CUT,
    INK,
    MODEL,
    NEGATIVE,
    PALE,
    POSITIVE,
    add_legend,
    create_figure,
    create_panels,
    limit_to_unit,
    mark_absent,
    name_axes,
    shorten_label,
    style_plain,
)

DPI = 110
CURVES = {
    "train_loss": "training loss",
    "macro_f1_cross_validated": "macro F1, cross-validated",
    "mean_average_precision": "mean average precision",
    "roc_auc": "ROC-AUC, macro",
}

Doubles = npt.NDArray[np.float64]


def encode_png(figure: Figure) -> bytes:
    """Return the picture as the content of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def plot_learning_curves(epochs: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Draw loss and dev figures of each epoch, one panel each, with a ring around the epoch whose weights were kept.

    A missing or undefined figure is a gap.
    """
    figure, panels = create_panels(list(CURVES.values()), columns=2, width=3.6, height=2.3)
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
    add_legend(figure)
    return figure


def plot_label_f1(per_label: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw F1 of each label at its threshold, best first, with its interval.

    Args:
        per_label: as `evaluate` gives it: `f1`, `f1_interval`, `support` of each label.
    """
    ordered = sorted(per_label.items(), key=lambda item: (item[1]["support"] > 0, item[1]["f1"]))
    figure = create_figure(7.2, 1.1 + 0.24 * len(ordered))
    axes = figure.subplots()
    style_plain(axes)
    for row, (_, of) in enumerate(ordered):
        if not of["support"]:
            axes.text(0.01, row, "no text has it", fontsize=8, color=POSITIVE, va="center", gid="absent")
            continue
        axes.hlines(row, *of["f1_interval"], color=MODEL, alpha=0.35, linewidth=5, label="95 % interval")
        axes.plot([of["f1"]], [row], "o", color=MODEL, markersize=5, gid="f1", label="F1")
    names = [f"{shorten_label(label)} ({of['support']:,})" for label, of in ordered]
    axes.set_yticks(range(len(ordered)), labels=names, fontsize=8.5)
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("F1 at the label's threshold", fontsize=9, color=INK)
    add_legend(figure)
    return figure


def plot_precision_recall(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """Draw precision over recall of each label, with a point at its threshold and a line for guessing."""
    decided_NK = thresholds.decide(probabilities_NK)
    figure, panels = create_panels(_build_titles(targets_NK, thresholds.labels))
    for k, axes in enumerate(panels):
        limit_to_unit(axes)
        true_N, given_N = targets_NK[:, k].astype(bool), decided_NK[:, k]
        if not true_N.any():
            mark_absent(axes)
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


def plot_reliability(probabilities_NK: Floats, targets_NK: Floats, labels: Sequence[str]) -> Figure:
    """Draw the true share of each label over the predicted share, in the bins of `compute_calibration_errors`.

    Each panel has its own square-root scale, because nearly all probabilities of a rare label are close to 0.
    """
    errors_K = compute_calibration_errors(probabilities_NK, targets_NK)
    promised_QK, true_QK = _average_bins(probabilities_NK, targets_NK)
    titles = [f"{shorten_label(label)}, {error:.4f}" for label, error in zip(labels, errors_K, strict=True)]
    figure, panels = create_panels(titles)
    for k, axes in enumerate(panels):
        end = 1.06 * max(promised_QK[:, k].max(), true_QK[:, k].max(), 1e-6)
        axes.plot([0, end], [0, end], color=NEGATIVE, linestyle=":", linewidth=1, label="perfectly calibrated")
        points = promised_QK[:, k], true_QK[:, k]
        style: dict[str, Any] = {"color": MODEL, "markersize": 3.5, "linewidth": 1, "clip_on": False}
        axes.plot(*points, "o-", gid="bins", label="model", **style)
        axes.set_xscale("function", functions=(_take_root, np.square))
        axes.set_yscale("function", functions=(_take_root, np.square))
        axes.set_xlim(0, end)
        axes.set_ylim(0, end)
        axes.set_box_aspect(1)
        ticks = _choose_ticks(end)
        axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        if not targets_NK[:, k].any():
            mark_absent(axes)
    name_axes(figure, "probability, mean of a bin (square roots)", "share that has the label (square roots)")
    return figure


def plot_confusion(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """Draw the confusion matrix of each label; darker is a larger share of the row."""
    decided_NK = thresholds.decide(probabilities_NK)
    truth_NK = targets_NK.astype(bool)
    counts_22K = np.array(
        [
            [(rows_NK & columns_NK).sum(axis=0) for columns_NK in (decided_NK, ~decided_NK)]
            for rows_NK in (truth_NK, ~truth_NK)
        ]
    )
    figure, panels = create_panels(_build_titles(targets_NK, thresholds.labels), width=1.9, height=1.55)
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


def plot_cooccurrence(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """Draw how often a text of one label also has another: by its annotators, and by the model at its thresholds.

    Undefined cells are grey: the diagonal, and the row of a label that no text has.
    """
    names = [shorten_label(label) for label in thresholds.labels]
    sides = {"true": targets_NK.astype(bool), "predicted": thresholds.decide(probabilities_NK)}
    shares = {title: compute_conditional_shares(side_NK) for title, side_NK in sides.items()}
    most = max(float(np.nan_to_num(share_KK).max()) for share_KK in shares.values())
    side = max(1.6, 0.2 * len(names))
    norm = PowerNorm(0.5, vmin=0, vmax=most or 1.0)  # otherwise one strong pair leaves all others white
    figure = create_figure(2 * side + 3.6, side + 1.35)
    for axes, (title, share_KK) in zip(figure.subplots(1, 2), shares.items(), strict=True):
        style_plain(axes)
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
    bar.set_label("share of the texts with the row's label that also have the column's label", fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8)
    return figure


def plot_scores(probabilities_NK: Floats, targets_NK: Floats, thresholds: Thresholds) -> Figure:
    """Draw how each label's probabilities are distributed with and without the label; counts are logarithmic."""
    edges = np.linspace(0, 1, 41)
    figure, panels = create_panels(_build_titles(targets_NK, thresholds.labels))
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
            mark_absent(axes)
    name_axes(figure, "probability", "texts")
    return figure


def compute_conditional_shares(having_NK: Bools) -> Doubles:
    """Return P(column | row), [K, K]: of the texts with one label, the share that has another; NaN if undefined."""
    both_KK = having_NK.T.astype(np.float64) @ having_NK
    having_K1 = np.diag(both_KK)[:, None].copy()
    share_KK = np.divide(both_KK, having_K1, out=np.full_like(both_KK, np.nan), where=having_K1 > 0)
    np.fill_diagonal(share_KK, np.nan)
    return share_KK


def _average_bins(probabilities_NK: Floats, targets_NK: Floats) -> tuple[Doubles, Doubles]:
    """Return predicted and true share in each bin, both [Q, K]."""
    bins = split_into_bins(probabilities_NK)
    promised_QK, true_QK = (
        np.stack([np.take_along_axis(values_NK, rows_nK, axis=0).mean(axis=0, dtype=np.float64) for rows_nK in bins])
        for values_NK in (probabilities_NK, targets_NK)
    )
    return promised_QK, true_QK


def _take_root(values: Doubles) -> Doubles:
    root: Doubles = np.sqrt(np.maximum(values, 0))
    return root


def _choose_ticks(end: float) -> tuple[float, float, float]:
    """Return the ticks of a square-root scale: 0, a round number near *end*, and one halfway between."""
    ten = 10.0 ** np.floor(np.log10(end))
    top = ten * max(step for step in (1, 2, 4, 8) if step * ten <= end)
    return 0.0, top / 4, top


def _build_titles(targets_NK: Floats, labels: Sequence[str]) -> list[str]:
    return [f"{shorten_label(label)} ({int(n):,})" for label, n in zip(labels, targets_NK.sum(axis=0), strict=True)]
