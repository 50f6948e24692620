"""The commands `evaluate` and `compare`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import GOEMOTIONS, AsJson, Device, Measured, ModelDir, SplitName, app, format_examples
from .inputs import load_model, prepare_device, read_labelled_texts
from .render import print_figures, warn_of_few_texts


@app.command(
    epilog=format_examples(
        "emotag-train evaluate --model runs/mine --data mine",
        "emotag-train evaluate --data mine.csv --json",
    )
)
def evaluate(
    data: Measured = GOEMOTIONS,
    model: ModelDir = None,
    split: SplitName = "dev",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled texts, with 95 % intervals."""
    trained = load_model(model)
    rows, shared_with = read_labelled_texts(data, split, trained)

    from rich.console import Console

    from emotag_training.evaluation import evaluate as evaluation

    figures = evaluation.evaluate(trained, rows, shared_with=shared_with, device=prepare_device(device))
    warn_of_few_texts(figures["texts"], figures["left_out_of_ranking"])
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        print_figures(Console(), figures)


@app.command(epilog=format_examples("emotag-train compare runs/a runs/b --data mine"))
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Directory of a model.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Directory of another model.")],
    data: Measured = GOEMOTIONS,
    split: SplitName = "dev",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Test whether model B is better than model A.

    Both are measured on the same texts. The intervals are from a paired bootstrap over texts.
    """
    pair = load_model(a), load_model(b)
    rows, _ = read_labelled_texts(data, split, pair[0], pair[1:])

    from emotag_training.evaluation.evaluate import compare_models
    from emotag_training.evaluation.metrics import find_ranked_labels

    found = compare_models(*pair, rows, device=prepare_device(device))
    ranked_K = find_ranked_labels(rows.targets_NK)
    warn_of_few_texts(len(rows), [label for label, kept in zip(rows.labels, ranked_K, strict=True) if not kept])
    if as_json:
        typer.echo(json.dumps({"texts": len(rows), "data_sha256": rows.sha256, "differences": found}))
        return
    typer.echo(f"{len(rows):,} texts; differences are B - A, with 95 % intervals")
    for name, difference in found.items():
        typer.echo(_describe(name, difference))


def _describe(name: str, d: dict[str, Any]) -> str:
    low, high = d["interval"]
    verdict = ("B is better" if d["difference"] > 0 else "A is better") if d["shown"] else "no difference shown"
    return (
        f"{name}: A {d['a']:.4f}, B {d['b']:.4f}, {d['difference']:+.4f} ({low:+.4f} to {high:+.4f}), "
        f"p {d['p']:.3f}: {verdict}"
    )
