"""Results as pictures that can be read on white and on black: transparent, in colours between the two."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import report
from .results import Results, Row

BARS = ("engine", "stream")
LINES = ("growth", "latency")
INK, OURS, THEIRS = "#7d8590", "#1f9d8a", "#8a94a3"
PALETTE = (OURS, "#c9772b", "#5b8def", "#b0598f")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
"""A number that stands by itself: 1,000 in `p99 at 1,000 messages/s`, not the 99."""


def draw(results: Results, folder: Path, stem: str) -> list[Path]:
    """Write a picture for every section that has rows for one; returns their paths."""
    written = []
    for name in (*BARS, *LINES):
        rows = results.table(name)
        if not rows:
            continue
        figure = bars(rows) if name in BARS else lines(rows)
        figure.suptitle(report.SECTIONS[name], color=INK, fontsize=11)
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=144, transparent=True)
        written.append(path)
    return written


def bars(rows: Sequence[Row]) -> Any:
    """One bar a row of the section's first unit, with the range of its repeats."""
    shown = [row for row in rows if row.unit == rows[0].unit][::-1]
    figure, (axes,) = _figure(1, height=1.2 + 0.34 * len(shown))
    colours = [OURS if "emotag" in row.name else THEIRS for row in shown]
    values = [row.value for row in shown]
    spread = [[row.value - row.low for row in shown], [row.high - row.value for row in shown]]
    axes.barh([row.name for row in shown], values, color=colours, xerr=spread, ecolor=INK, height=0.66)
    for place, row in enumerate(shown):
        axes.text(row.high, place, f"  {report.number(row.value)}", va="center", color=INK, fontsize=9)
    axes.set_xlabel(rows[0].unit, color=INK)
    axes.margins(x=0.12)
    return figure


def lines(rows: Sequence[Row]) -> Any:
    """One panel a unit, in it one line a series: rows whose names differ in a number alone."""
    units = list(dict.fromkeys(row.unit for row in rows))
    figure, panels = _figure(len(units), height=3.4)
    for unit, axes in zip(units, panels, strict=True):
        series: dict[str, list[Row]] = {}
        for row in rows:
            if row.unit == unit:
                series.setdefault(NUMBER.sub("…", row.name, count=1), []).append(row)
        for colour, (name, points) in zip(PALETTE * len(series), series.items(), strict=False):
            x = [_number(row) for row in points]
            axes.plot(x, [row.value for row in points], marker="o", color=colour, label=name)
            axes.fill_between(
                x, [row.low for row in points], [row.high for row in points], color=colour, alpha=0.2, linewidth=0
            )
        axes.set_ylabel(unit, color=INK)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    return figure


def _number(row: Row) -> float:
    found = NUMBER.search(row.name)
    return float(found.group().replace(",", "")) if found else 0.0


def _figure(panels: int, *, height: float) -> Any:
    """A figure without a window, and its panels side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(8.0, 4.6 * panels), height), layout="constrained")
    FigureCanvasAgg(figure)
    made = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
    for axes in made:
        axes.tick_params(colors=INK, labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
    return figure, made
