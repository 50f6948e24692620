"""emotag-train: fit, evaluate, tune, export, compare."""

import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.exceptions import TyperException

from model import artifact
from model.artifact import ArtifactError
from model.device import DeviceUnknown, choose_device, usable_cores
from model.tokens import Tokens
from model.weights import DTYPES

from . import data, trunk
from .card import card
from .data import DataError, Split
from .evaluate import evaluate as measure
from .evaluate import predict
from .export import convert, export
from .fit import fit as run_fit
from .intervals import differences
from .labelled import load_labelled
from .metrics import ranked
from .recipe import PRESETS
from .trunk import TrunkError
from .tune import calibrate as with_calibration
from .tune import tune as with_thresholds

FEW_TEXTS = 200

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export emotag's models.",
)

Data = Annotated[str, typer.Option("--data", help="a folder with train.tsv and dev.tsv, `kaggle`, or `origin`")]
Measured = Annotated[
    str,
    typer.Option(
        "--data",
        help="a folder with train.tsv and dev.tsv, a TSV file, a CSV file (text,labels), `kaggle`, or `origin`",
    ),
]
ArtifactDir = Annotated[Path, typer.Option("--model", help="the artifact's directory")]


def main() -> None:
    """Run a command; a mistake is one line on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        why = error.format_message()
    except (ArtifactError, DataError, TrunkError, DeviceUnknown, OSError, ValueError) as error:
        why = str(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    print(f"emotag-train: {' '.join(why.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


class Screen:
    """A progress bar on a terminal; one line an epoch everywhere."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("training", total=None, loss="")
        self._loss = 0.0

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._loss = loss if step == 1 else 0.98 * self._loss + 0.02 * loss
        self._bar.update(self._task, completed=step, total=steps, loss=f"epoch {epoch}, loss {self._loss:.4f}")

    def epoch(self, epoch: int, figures: dict[str, Any]) -> None:
        self._console.print(f"epoch {epoch}  " + "  ".join(f"{k} {v}" for k, v in figures.items() if k != "epoch"))


@app.command()
def fit(
    out: Annotated[Path, typer.Option("--out", help="where the artifact is written")],
    data_: Data = "origin",
    trunk_: Annotated[
        str, typer.Option("--trunk", help="`minilm`, a local folder, or a hub id such as distilbert-base-uncased")
    ] = "minilm",
    preset: Annotated[str, typer.Option(help="`default`, or `original` (the seed's own recipe)")] = "default",
    name: Annotated[str, typer.Option(help="the model's name, shown in every result")] = "",
    seed: Annotated[int, typer.Option()] = 42,
    epochs: Annotated[int | None, typer.Option(min=1, help="instead of the preset's")] = None,
    limit: Annotated[
        int | None, typer.Option(min=32, help="only the first rows of train and dev: to try things")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (measured), fp32, bf16")] = "auto",
) -> None:
    """Train a model and export it.

    emotag-train fit --data ../shared/data/goemotions --out runs/mini

    emotag-train fit --data kaggle --trunk distilbert-base-uncased --preset original --out runs/original
    """
    if preset not in PRESETS:
        raise typer.BadParameter(f"{preset!r} is unknown; it takes {' or '.join(PRESETS)}", param_hint="--preset")
    if precision not in ("auto", "fp32", "bf16"):
        raise typer.BadParameter(f"{precision!r} is unknown; it takes auto, fp32 or bf16", param_hint="--precision")
    out.mkdir(parents=True, exist_ok=True)  # a mistake in it is not to show after an hour of training
    recipe = PRESETS[preset] if epochs is None else replace(PRESETS[preset], epochs=epochs)
    torch.set_num_threads(usable_cores())
    folder = data.find_folder(data_)
    train, dev = data.load_split(folder / "train.tsv"), data.load_split(folder / "dev.tsv")
    if limit is not None:
        train, dev = train.take(range(min(limit, len(train)))), dev.take(range(min(limit, len(dev))))
    start = trunk.load_trunk(trunk_)
    torch.manual_seed(seed)  # the head's first weights are drawn here
    model = start.grow(labels=train.labels, max_tokens=recipe.max_tokens, head_dropout=recipe.head_dropout)
    tokens = Tokens(start.tokenizer, max_tokens=recipe.max_tokens)
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        run = run_fit(
            model,
            tokens,
            train,
            dev,
            recipe,
            seed=seed,
            progress=Screen(console, bar),
            device=torch.device(choose_device(device)),
            precision=precision,
        )
    figures = export(
        run.model,
        start.tokenizer,
        out,
        train=train,
        dev=dev,
        name=name or out.name,
        threshold_policy=recipe.threshold,
        record={
            "command": shlex.join(["emotag-train", *sys.argv[1:]]),
            "trunk": start.origin,
            "preset": preset,
            "recipe": asdict(recipe),
            "seed": seed,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "best_epoch": run.best_epoch,
            "epochs": run.history,
        },
    )
    _show(console, figures)
    console.print(f"{out}: {artifact.load(out).version}")


@app.command()
def evaluate(
    data_: Measured = "origin",
    model: ArtifactDir = artifact.DEFAULT,
    split: Annotated[str, typer.Option(help="dev, test, train, or a TSV file")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="all figures as one JSON object")] = False,
) -> None:
    """Measure an artifact on labelled texts, with 95 % intervals.

    emotag-train evaluate --data ../shared/data/goemotions

    emotag-train evaluate --data mine.csv --json
    """
    trained = artifact.load(model)
    rows, shared_with = _labelled(data_, split, trained.config.labels)
    torch.set_num_threads(usable_cores())
    figures = measure(trained, rows, shared_with=shared_with)
    _reserve(figures["texts"], figures["left_out_of_ranking"])
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        _show(Console(), figures)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="an artifact's directory")],
    b: Annotated[Path, typer.Argument(help="another one's")],
    data_: Measured = "origin",
    split: Annotated[str, typer.Option(help="dev, test, train, or a TSV file")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="the differences as one JSON object")] = False,
) -> None:
    """Say whether B is better than A on the same texts: differences by the paired bootstrap.

    emotag-train compare runs/a runs/b --data ../shared/data/goemotions
    """
    pair = artifact.load(a), artifact.load(b)
    rows, _ = _labelled(data_, split, pair[0].config.labels)
    torch.set_num_threads(usable_cores())
    probabilities = predict(pair[0], rows), predict(pair[1], rows)
    found = differences(probabilities, (pair[0].thresholds.values, pair[1].thresholds.values), rows.targets_NK)
    _reserve(len(rows), [label for label, kept in zip(rows.labels, ranked(rows.targets_NK), strict=True) if not kept])
    if as_json:
        typer.echo(json.dumps({"texts": len(rows), "data_sha256": rows.sha256, "differences": found}))
        return
    typer.echo(f"{len(rows):,} texts; B - A, 95 % interval")
    for name, d in found.items():
        low, high = d["interval"]
        verdict = ("B is better" if d["difference"] > 0 else "A is better") if d["shown"] else "no difference shown"
        typer.echo(
            f"{name}: A {d['a']:.4f}, B {d['b']:.4f}, {d['difference']:+.4f} ({low:+.4f} to {high:+.4f}), "
            f"p {d['p']:.3f}: {verdict}"
        )


@app.command()
def tune(
    model: ArtifactDir,  # no default: it is changed in place, and the shipped one is not the user's
    data_: Data = "origin",
    policy: Annotated[
        str,
        typer.Option(help="`f1`: the best per label on dev; `precision@0.8`: that precision; `fixed:0.5`: the same"),
    ] = "f1",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Platt scaling on dev, folded into the weights: a new model version")
    ] = False,
) -> None:
    """Choose new thresholds for an artifact, in place, with its figures and its card.

    Its weights, and what a cache holds of them, stay valid, unless it is calibrated.

    emotag-train tune --data ../shared/data/goemotions --model runs/mini --policy f1
    """
    folder = data.find_folder(data_)
    dev = data.load_split(folder / "dev.tsv")
    torch.set_num_threads(usable_cores())
    trained = artifact.load(model)
    tuned = with_thresholds(
        with_calibration(trained, dev) if calibrate else trained, dev, policy, shared_with=_train_split(folder)
    )
    if calibrate:
        stored = next(short for short, dtype in DTYPES.items() if dtype == trained.weights_dtype)
        artifact.save(tuned, model, card=card(tuned), dtype=stored)
    else:
        artifact.save_tuned(tuned, model, card=card(tuned))
    typer.echo(f"{model}: thresholds {artifact.load(model).thresholds_version} ({tuned.thresholds.policy})")
    if policy.startswith("precision@"):
        never = [name for name, t in zip(dev.labels, tuned.thresholds.values, strict=True) if t == 1.0]
        if never:
            typer.echo(f"never that precise on dev, so never given: {', '.join(never)}")


@app.command(name="export")
def export_(
    out: Annotated[Path, typer.Option("--out", help="the directory to write")],
    model: ArtifactDir = artifact.DEFAULT,
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16")] = "fp16",
    name: Annotated[str, typer.Option(help="a new name; the old one where empty")] = "",
) -> None:
    """Write a checked copy of an artifact, its weights at another precision.

    Where that rounds them, metrics.json and the card say with which weights the figures were measured; `tune` and
    `evaluate` measure the copy itself.

    emotag-train export --model runs/mini --out runs/mini-fp32 --dtype fp32
    """
    if dtype not in DTYPES:
        raise typer.BadParameter(f"{dtype!r} is unknown; it takes {', '.join(DTYPES)}", param_hint="--dtype")
    convert(model, out, dtype=dtype, name=name)
    typer.echo(f"{out}: {artifact.load(out).version}")


def _labelled(data_: str, split: str, labels: tuple[str, ...]) -> tuple[Split, Split | None]:
    """The texts to measure on, and the training texts beside them where those are not the same."""
    if Path(data_).is_file():
        return load_labelled(Path(data_), labels), None
    folder = data.find_folder(data_)
    path = Path(split) if split.endswith(".tsv") else folder / f"{split}.tsv"
    return load_labelled(path, labels), None if path == folder / "train.tsv" else _train_split(folder)


def _reserve(texts: int, left_out: list[str]) -> None:
    """One line where the texts are too few for all figures to mean something."""
    reservations = [f"only {texts} texts, so the intervals are wide"] if texts < FEW_TEXTS else []
    if left_out:
        reservations.append(f"left out of ROC-AUC and average precision, for all texts or none: {', '.join(left_out)}")
    if reservations:
        typer.echo("; ".join(reservations), err=True)


def _train_split(folder: Path) -> Split | None:
    """The training texts, to measure without those that stand in both; None where they are not at hand."""
    path = folder / "train.tsv"
    return data.load_split(path) if path.is_file() else None


def _show(console: Console, figures: dict[str, Any]) -> None:
    sure = figures["intervals"]
    table = Table("figure", "value", "95 % interval", title=f"{figures['texts']:,} texts")

    def row(title: str, value: float | None, interval: str = "") -> None:
        between = sure.get(interval)
        shown = "undefined" if value is None else f"{value:.4f}"
        table.add_row(title, shown, f"{between[0]:.4f} to {between[1]:.4f}" if between else "")

    row("macro F1, thresholds cross-fitted", figures["macro_f1_cross_fitted"], "macro_f1_cross_fitted")
    row("  its deviation over the halvings", figures["macro_f1_cross_fitted_std"])
    row("macro F1, own thresholds", figures["own_thresholds"]["macro_f1"], "macro_f1_own_thresholds")
    row("macro F1, at 0.51", figures["at_0.51"]["macro_f1"])
    row("macro F1, at 0.3", figures["at_0.3"]["macro_f1"])
    row("ROC-AUC, macro", figures["roc_auc"], "roc_auc")
    row("mean average precision", figures["mean_average_precision"], "mean_average_precision")
    row("MCC flattened, at 0.51", figures["at_0.51"]["mcc_flattened"], "mcc_flattened_at_0.51")
    row("calibration error, mean over labels", figures["calibration"]["as_is"]["mean"])
    row("calibration error, worst label", figures["calibration"]["as_is"]["largest"])
    row("macro F1 lost in int8", figures["int8"]["macro_f1_loss"])
    console.print(table)
