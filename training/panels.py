"""What the pictures are drawn on: sheets, panels of a label each, their colours and their legend."""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, PALE, MODEL, POSITIVE, NEGATIVE, CUT = "#1f2937", "#d1d5db", "#2563eb", "#c2410c", "#64748b", "#111827"
LONGEST = 22
"""Characters of a label's name that fit over its panel."""


def name(label: str) -> str:
    """A label as matplotlib is to show it: no longer than there is room, and a dollar sign is no formula."""
    short = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    return short.replace("$", r"\$")


def sheet(width: float, height: float) -> Figure:
    """An empty figure; inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def multiples(
    titles: Sequence[str], *, columns: int = 4, width: float = 2.3, height: float = 2.0
) -> tuple[Figure, list[Axes]]:
    """A figure of one panel a title; width and height are a panel's, inches."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = sheet(width * columns + 0.4, height * rows + 0.5)
    panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(titles))]
    for axes, title in zip(panels, titles, strict=True):
        plain(axes)
        axes.set_title(title, fontsize=9, color=INK)
    return figure, panels


def plain(axes: Axes) -> None:
    """Small ticks, and no frame."""
    axes.tick_params(labelsize=7.5, colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def unit(axes: Axes) -> None:
    """Both axes from 0 to 1."""
    for limits, ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
        limits(-0.02, 1.04)
        ticks([0, 0.5, 1])


def absent(axes: Axes) -> None:
    """Say that there is nothing to see in a label's panel, and why."""
    where: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "no text has it", fontsize=8, color=POSITIVE, gid="absent", **where)


def name_axes(figure: Figure, x: str, y: str) -> None:
    """Name the axes once for all panels, and what is drawn in them."""
    figure.supxlabel(x, fontsize=9, color=INK)
    figure.supylabel(y, fontsize=9, color=INK)
    legend(figure)


def legend(figure: Figure) -> None:
    """One legend above all panels, of whatever any of them has."""
    named = dict(_handles(figure))
    if named:
        figure.legend(
            list(named.values()), list(named), loc="outside upper center", ncols=3, fontsize=8.5, frameon=False
        )


def _handles(figure: Figure) -> Iterator[tuple[str, Any]]:
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        yield from zip(names, handles, strict=True)
