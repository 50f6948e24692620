"""The command-line app, and the options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train a model on your own texts, and measure, compare and export models.",
)
"""Help is plain text: it appears sooner than in rich's boxes, and its examples can be copied."""

_SOURCES = "a folder with train.csv and dev.csv, datasets:NAME, goemotions or kaggle."
DATA = f"One file (.csv, .tsv, .jsonl or .parquet), {_SOURCES}"
TEXT_COLUMN = "Column of the texts (default: text)."
LABEL_COLUMNS = (
    "Column with the labels of each text (default: labels or label), or one column of 0 and 1 for each label, with"
    " commas between the names."
)
GOEMOTIONS = "goemotions"
Data = Annotated[str, typer.Option("--data", metavar="DATA", help=DATA)]
Measured = Annotated[
    str,
    typer.Option(
        "--data", metavar="DATA", help=f"One file (of the file that the model was trained on: dev), {_SOURCES}"
    ),
]
SplitName = Annotated[
    str, typer.Option("--split", metavar="NAME", help="Split to measure on: dev, test, train, or a file.")
]
ModelDir = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="Directory of a trained model; without it, the model in emotag."),
]
DEVICES = "auto, cpu, cuda or cuda:N."
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", help=f"{DEVICES} Everywhere in fp32, so the figures do not depend on the device."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def format_examples(*commands: str) -> str:
    """Return the end of a command's help: examples that are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
