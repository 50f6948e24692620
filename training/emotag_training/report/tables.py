"""Tables of figures for the card and the report, row by row, and their rendering in Markdown.

Cells are plain text; the caller escapes them for Markdown or HTML.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""A header, and rows of as many cells; the first one names its row."""

# Markdown ignores an underscore inside a word, and the keys of a recipe are full of them.
_SIGNS = re.compile(r"[\\`*\[\]|~$]|_(?![^\W_])|(?<![^\W_])_")


def build_kinds_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of kinds of texts, with the false-positive rate if the model has a negative label."""
    rows: list[tuple[str, ...]] = [
        (kind, f"{of['texts']:,}", format_figure(of["micro_f1"]), format_figure(of["negative_false_positive_rate"]))
        for kind, of in figures["slices"].items()
    ]
    columns = 4 if gives_negative(figures) else 3
    return ("texts", "how many", "micro F1", "negative by mistake")[:columns], [row[:columns] for row in rows]


def build_people_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of kinds of people, with the false-positive rate of the sentences about them."""
    rates = figures["people_negative_false_positive_rate"]
    return ("about", "negative by mistake"), [(who, format_figure(rate)) for who, rate in rates.items()]


def build_varieties_table(figures: Mapping[str, Any]) -> Table | None:
    """Return the table of varieties of English, with the false-positive rate of the sentences in them.

    None if the figures come from an emotag that did not measure them.
    """
    rates = figures.get("dialect_negative_false_positive_rate")
    if rates is None:
        return None
    return ("in", "negative by mistake"), [(variety, format_figure(rate)) for variety, rate in rates.items()]


def build_failures_table(figures: Mapping[str, Any]) -> Table | None:
    """Return the table of the worst mistakes; None if the figures contain no texts."""
    if not figures.get("failures"):
        return None
    rows: list[tuple[str, ...]] = [
        (
            of["text"],
            ", ".join(of["annotators"]),
            ", ".join(f"{label} {format_figure(probability)}" for label, probability in of["given"].items()),
            f"{of['label']} {of['mistake']}, {format_figure(of['probability'])}",
        )
        for of in figures["failures"]
    ]
    return ("text", "its annotators", "the model", "the mistake"), rows


def gives_negative(figures: Mapping[str, Any]) -> bool:
    """Return True if any label of the model is negative."""
    return figures["people_negative_false_positive_rate"]["all"] is not None


def format_figure(value: float | None) -> str:
    """Format a figure; a dash if it is undefined."""
    return "–" if value is None else f"{value:.4f}"


def format_interval(interval: Sequence[float] | None) -> str:
    """Format an interval; nothing if it is undefined."""
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def render_markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Render a table in Markdown that shows every cell literally."""
    cells = [[escape_markdown(str(cell)) for cell in line] for line in (header, *rows)]
    lines = [cells[0], ["---"] * len(header), *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """Escape *text* for a cell of a table in Markdown: on one line, without Markdown or HTML."""
    return _SIGNS.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))
