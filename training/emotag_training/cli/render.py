"""Figures on a terminal."""

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

FEW_TEXTS = 200


def print_figures(console: "Console", figures: dict[str, Any]) -> None:
    """Print the main figures as a table."""
    from rich.table import Table

    from emotag_training.evaluation.evaluate import list_headline

    table = Table("figure", "value", "95 % interval", title=f"{figures['texts']:,} texts")
    for title, value, between in list_headline(figures):
        shown = "undefined" if value is None else f"{value:.4f}"
        table.add_row(title, shown, f"{between[0]:.4f} to {between[1]:.4f}" if between else "")
    console.print(table)


def warn_of_few_texts(texts: int, left_out: list[str]) -> None:
    """Print one line to stderr if these texts are too few for some figures."""
    few = f"only {texts} texts, so the intervals are wide, and an interval such as 1.0000 to 1.0000 means nothing"
    warnings = [few] if texts < FEW_TEXTS else []
    if left_out:
        warnings.append(
            f"left out of ROC-AUC and average precision, because all texts or none have them: {', '.join(left_out)}"
        )
    if warnings:
        typer.echo("; ".join(warnings), err=True)
