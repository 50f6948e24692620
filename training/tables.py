"""What a model's card and its page show of its figures, row by row; and a table in Markdown.

Cells are plain text: whoever writes one into Markdown or HTML escapes it there.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""A header, and rows of as many cells; the first one names its row."""

# An underscore within a word is none of Markdown's signs, and the names of a recipe's keys are full of them.
_SIGNS = re.compile(r"[\\`*\[\]|~$]|_(?![^\W_])|(?<![^\W_])_")


def kinds(figures: Mapping[str, Any]) -> Table:
    """Kinds of texts; what is negative by mistake, too, of a model that has a negative label to give."""
    rows: list[tuple[str, ...]] = [
        (kind, f"{of['texts']:,}", shown(of["micro_f1"]), shown(of["negative_false_positive_rate"]))
        for kind, of in figures["slices"].items()
    ]
    columns = 4 if gives_negative(figures) else 3
    return ("texts", "how many", "micro F1", "negative by mistake")[:columns], [row[:columns] for row in rows]


def people(figures: Mapping[str, Any]) -> Table:
    """Kinds of people, and how many of the plain sentences about them are negative by mistake."""
    rates = figures["people_negative_false_positive_rate"]
    return ("about", "negative by mistake"), [(who, shown(rate)) for who, rate in rates.items()]


def varieties(figures: Mapping[str, Any]) -> Table | None:
    """Varieties of English, and how many of the plain sentences in them are negative by mistake.

    None where nothing was measured of them, as by an emotag before this figure.
    """
    rates = figures.get("dialect_negative_false_positive_rate")
    if rates is None:
        return None
    return ("in", "negative by mistake"), [(variety, shown(rate)) for variety, rate in rates.items()]


def failures(figures: Mapping[str, Any]) -> Table | None:
    """Texts that the model gets most wrong; None where the figures hold none, as those of others' texts never do."""
    if not figures.get("failures"):
        return None
    rows: list[tuple[str, ...]] = [
        (
            of["text"],
            ", ".join(of["raters"]),
            ", ".join(f"{label} {shown(probability)}" for label, probability in of["given"].items()),
            f"{of['label']} {of['mistake']}, {shown(of['probability'])}",
        )
        for of in figures["failures"]
    ]
    return ("text", "its raters", "the model", "the mistake"), rows


def gives_negative(figures: Mapping[str, Any]) -> bool:
    """Whether any label of the model is negative."""
    return figures["people_negative_false_positive_rate"]["all"] is not None


def shown(value: float | None) -> str:
    """A figure, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.4f}"


def between(interval: Sequence[float] | None) -> str:
    """An interval, or nothing where there is none."""
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown that shows every cell as it is."""
    cells = [[escaped(str(cell)) for cell in line] for line in (header, *rows)]
    lines = [cells[0], ["---"] * len(header), *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """*text* for a cell of a table in Markdown: on one line, and neither Markdown nor HTML of its own."""
    return _SIGNS.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))
