"""Plots of the results. They are transparent and in medium colours, so you can read them on white and on black."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import report, summary
from .results import Results, Row

BARS = ("engine", "stream")
LINES = ("growth", "latency")
INK, OURS, THEIRS = "#7d8590", "#1f9d8a", "#8a94a3"
PALETTE = (OURS, "#c9772b", "#5b8def", "#b0598f")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
"""A number that is a word by itself: 1,000 in `p99 at 1,000 messages/s`, not the 99."""


def draw(results: Results, folder: Path, stem: str) -> list[Path]:
    """Write a plot for each section that has one and has rows, and the summary. Return the paths."""
    paths = []
    for name in (*BARS, *LINES):
        rows = results.table(name)
        if not rows:
            continue
        figure = draw_bars(rows) if name in BARS else draw_lines(rows)
        figure.suptitle(report.SECTIONS[name], color=INK, fontsize=11)
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=144, transparent=True)
        paths.append(path)
    if results.table("engine"):
        paths.append(folder / f"{stem}-summary.png")
        draw_summary(results).savefig(paths[-1], dpi=144, transparent=True)
    return paths


def draw_summary(results: Results) -> Any:
    """Draw the chart of the project's README: emotag's engine and the fastest form of each other library."""
    rows = [replace(row, name=_name_input(row)) for row in summary.select_rows(results)]
    figure = draw_bars(rows)
    described = results.machine
    heading = f"Texts per second with the same weights, on {described['cores']} cores ({described['processor']})"
    figure.suptitle(heading, color=INK, fontsize=11)
    figure.axes[0].set_xlabel("")
    return figure


def draw_bars(rows: Sequence[Row]) -> Any:
    """Draw a bar for each row in the section's first unit, with the range of its repeats."""
    shown = [row for row in rows if row.unit == rows[0].unit][::-1]
    figure, (axes,) = _figure(1, height=1.2 + 0.34 * len(shown))
    colours = [OURS if "emotag" in row.name else THEIRS for row in shown]
    values = [row.value for row in shown]
    spread = [[row.value - row.low for row in shown], [row.high - row.value for row in shown]]
    axes.barh([row.name for row in shown], values, color=colours, xerr=spread, ecolor=INK, height=0.66)
    for place, row in enumerate(shown):
        axes.text(row.high, place, f"  {report.format_number(row.value)}", va="center", color=INK, fontsize=9)
    axes.set_xlabel(rows[0].unit, color=INK)
    axes.margins(x=0.12)
    return figure


def draw_lines(rows: Sequence[Row]) -> Any:
    """Draw a panel for each unit, and in it a line for each series: rows whose names differ only in a number."""
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


def _name_input(row: Row) -> str:
    """Return a name that needs no table: with the input if it is not tokens."""
    return f"{row.name}, from texts" if row.against.endswith("from texts") else row.name


def _number(row: Row) -> float:
    match = NUMBER.search(row.name)
    return float(match.group().replace(",", "")) if match else 0.0


def _figure(panels: int, *, height: float) -> Any:
    """Return a figure without a window, and its panels side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(8.0, 4.6 * panels), height), layout="constrained")
    FigureCanvasAgg(figure)
    axes_list = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
    for axes in axes_list:
        axes.tick_params(colors=INK, labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
    return figure, axes_list
