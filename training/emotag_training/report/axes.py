"""Figures, panels, colours and legends that the plots share."""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, PALE, MODEL, POSITIVE, NEGATIVE, CUT = "#1f2937", "#d1d5db", "#2563eb", "#c2410c", "#64748b", "#111827"
LONGEST = 22
"""Characters of a label's name that fit over its panel."""


def shorten_label(label: str) -> str:
    """Return a label as matplotlib shows it: shortened, and with dollar signs escaped."""
    short = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    return short.replace("$", r"\$")


def create_figure(width: float, height: float) -> Figure:
    """Create an empty figure; sizes are in inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def create_panels(
    titles: Sequence[str], *, columns: int = 4, width: float = 2.3, height: float = 2.0
) -> tuple[Figure, list[Axes]]:
    """Create a figure with one panel per title; width and height of a panel are in inches."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = create_figure(width * columns + 0.4, height * rows + 0.5)
    panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(titles))]
    for axes, title in zip(panels, titles, strict=True):
        style_plain(axes)
        axes.set_title(title, fontsize=9, color=INK)
    return figure, panels


def style_plain(axes: Axes) -> None:
    """Draw small ticks and no frame."""
    axes.tick_params(labelsize=7.5, colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def limit_to_unit(axes: Axes) -> None:
    """Scale both axes from 0 to 1."""
    for limits, ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
        limits(-0.02, 1.04)
        ticks([0, 0.5, 1])


def mark_absent(axes: Axes) -> None:
    """Write into a label's panel that no text has the label."""
    where: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "no text has it", fontsize=8, color=POSITIVE, gid="absent", **where)


def name_axes(figure: Figure, x: str, y: str) -> None:
    """Name the axes and the lines once for all panels."""
    figure.supxlabel(x, fontsize=9, color=INK)
    figure.supylabel(y, fontsize=9, color=INK)
    add_legend(figure)


def add_legend(figure: Figure) -> None:
    """Draw one legend for all panels above them."""
    named = dict(_list_handles(figure))
    if named:
        figure.legend(
            list(named.values()), list(named), loc="outside upper center", ncols=3, fontsize=8.5, frameon=False
        )


def _list_handles(figure: Figure) -> Iterator[tuple[str, Any]]:
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        yield from zip(names, handles, strict=True)
