"""The command `audit`."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import LABEL_COLUMNS, TEXT_COLUMN, AsJson, Device, app, format_examples
from .inputs import find_columns, load_model, prepare_device

if TYPE_CHECKING:
    from rich.console import Console

    from emotag_model.artifact import Artifact
    from emotag_training.data.audit import Audit
    from emotag_training.data.columns import Columns
    from emotag_training.data.sources import OneFile

MOST_SHOWN = 20
OF_MODEL = "With --model, the default is what the model was trained on."


@app.command(
    epilog=format_examples(
        "emotag-train audit mine.csv --text-column body",
        "emotag-train audit mine.csv --model runs/mine",
    )
)
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled texts: .csv, .tsv, .jsonl or .parquet.")],
    text_column: Annotated[str | None, typer.Option(metavar="NAME", help=f"{TEXT_COLUMN} {OF_MODEL}")] = None,
    label_columns: Annotated[str | None, typer.Option(metavar="NAME,NAME", help=f"{LABEL_COLUMNS} {OF_MODEL}")] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="DIR", help="Find probable mistakes among texts that this model never saw."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Find probable mistakes among all texts: a file that `distill` wrote from runs with data.fold.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Check labelled texts: labels, duplicates, lengths, and probable mistakes of labels.

    The output names rows and labels, never texts.
    """
    from emotag_model.tokens import Tokens
    from emotag_training.data import audit as auditing
    from emotag_training.data.columns import Columns
    from emotag_training.data.table import read_rows
    from emotag_training.errors import TeacherError

    if model is not None and predictions is not None:
        raise TeacherError(f"--predictions {predictions}: --model finds mistakes among other texts; use one of the two")
    trained = load_model(model)
    own = Columns() if model is None else find_columns(trained)
    columns = Columns.parse(
        own.text if text_column is None else text_column,
        ",".join(own.labels) if label_columns is None else label_columns,
    )
    table = read_rows(file, columns)
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    found = auditing.audit(table, is_too_long=[ids.truncated for ids in tokens(table.texts)])
    if model is not None or predictions is not None:
        seen = trained if model is not None else None
        found = _add_suspects(found, file, columns, seen, predictions, device=device)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "sha256": table.sha256, **asdict(found)}))
        return

    from rich.console import Console

    _print(Console(markup=False), str(file), found, longest=trained.config.max_tokens)


def _add_suspects(
    found: "Audit",
    file: Path,
    columns: "Columns",
    trained: "Artifact | None",
    predictions: Path | None,
    *,
    device: str,
) -> "Audit":
    """Return *found* with the probable mistakes among the texts that were predicted unseen."""
    import numpy as np

    from emotag_training.data.audit import find_suspects
    from emotag_training.data.sources import OneFile

    source = OneFile(file, columns)
    labels, unseen_NK = _predict_unseen(source, trained, predictions, device=device)
    rows = np.flatnonzero(~np.isnan(unseen_NK[:, 0]))
    suspects = find_suspects(source.whole, rows.tolist(), unseen_NK[rows], labels)
    return replace(found, suspects=suspects, predicted=len(rows))


def _predict_unseen(source: "OneFile", trained: "Artifact | None", predictions: Path | None, *, device: str) -> Any:
    """Return labels, and probabilities [N, K] that are NaN for texts that every model was trained on."""
    import numpy as np

    from emotag_training.distillation.teacher import find_unseen, load_teacher
    from emotag_training.errors import DataError
    from emotag_training.evaluation.evaluate import tokenize
    from emotag_training.evaluation.prediction import predict
    from emotag_training.record import read_section

    whole = source.whole
    if predictions is not None:
        teacher = load_teacher(predictions)
        of_train_NK, of_dev_MK = find_unseen(teacher, *(source.read(name).split() for name in ("train", "dev")))
        found_NK = np.full((len(whole.texts), len(teacher.labels)), np.nan, np.float32)
        found_NK[~source.is_dev_N], found_NK[source.is_dev_N] = of_train_NK, of_dev_MK
        return teacher.labels, found_NK
    assert trained is not None
    source.refuse_change_since(trained.training)
    if whole.sha256 == read_section(trained.training, "data").get("train_sha256"):
        raise DataError(
            f"{whole.source}: the model was trained on all of its texts, so it shows no mistakes among them; name"
            " out-of-fold predictions (--predictions), or audit texts that the model was not trained on"
        )
    rows = np.flatnonzero(source.is_dev_N) if source.is_source_of(trained.training) else np.arange(len(whole.texts))
    found_NK = np.full((len(whole.texts), len(trained.config.labels)), np.nan, np.float32)
    texts = tokenize(trained, whole.take(rows.tolist()).split(trained.config.labels))
    found_NK[rows] = predict(trained, texts, device=prepare_device(device))
    return trained.config.labels, found_NK


def _print(console: "Console", file: str, found: "Audit", *, longest: int) -> None:
    from rich.table import Table

    console.print(f"{file}: {found.texts:,} texts, {found.without_label:,} of them without a label", soft_wrap=True)
    labels = Table("label", "texts", "share", "note")
    for count in found.labels:
        rare = "rare: label more texts, or leave the label out" if count.is_rare else ""
        labels.add_row(count.label, f"{count.texts:,}", f"{count.texts / found.texts:.1%}", rare)
    console.print(labels)
    findings = Table("finding", "number", "for example")
    for title, rows in (
        ("empty texts (fit refuses them)", [(row,) for row in found.empty]),
        (f"texts of more than {longest} tokens (training ignores their end)", [(row,) for row in found.too_long]),
        ("groups of equal texts", found.exact_duplicates),
        ("groups that differ in case or white space", found.near_duplicates),
        ("groups of duplicates with different labels", [conflict.rows for conflict in found.conflicts]),
    ):
        findings.add_row(title, f"{len(rows):,}", "; ".join(" = ".join(group[:3]) for group in rows[:3]))
    console.print(findings)
    if found.suspects is None:
        return
    title = f"{len(found.suspects):,} probable mistakes among {found.predicted:,} texts that no model was trained on"
    suspects = Table("row", "its labels", "probably", "probability of the label", title=title)
    for suspect in found.suspects[:MOST_SHOWN]:
        doubt = f"{suspect.label} is missing" if suspect.is_missing else f"{suspect.label} is wrong"
        suspects.add_row(suspect.row, ", ".join(suspect.given), doubt, f"{suspect.probability:.1%}")
    console.print(suspects)
