"""emotag-train: fit, ablate, teach, evaluate, compare, plot, tune, export."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from typer.exceptions import TyperException

from model import artifact
from model.artifact import ArtifactError
from model.device import DeviceUnknown, usable_cores
from model.weights import DTYPES

from . import data_set
from .ablation import TABLE, AblationError
from .ablation import ablate as ablated
from .card import card
from .checkpoint import CheckpointError, Interrupted, begun
from .data import DataError, Split
from .data_set import DataSet
from .evaluate import beside as compared
from .evaluate import evaluate as measure
from .evaluate import headline, measured, predict
from .export import convert
from .fit import epoch_figures
from .job import train
from .labelled import FORMATS as FILE_FORMATS
from .labelled import load_split
from .metrics import ranked
from .progress import TrackerMissing
from .ranks import speaks
from .recipe import SMOKE, RecipeError, parse_changes, resolve, settled
from .teacher import FILE as TEACHER
from .teacher import TeacherError, heard
from .trunk import TrunkError
from .tune import calibrate as with_calibration
from .tune import tune as with_thresholds

FEW_TEXTS = 200
INTERRUPTED = 130
"""The exit code, as a shell gives it to who was ended by Ctrl-C."""
FORMATS = ("artifact", "onnx")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and export emotag's models.",
)

DATA = "a folder (train and dev as .tsv, .csv or .parquet; or saved by datasets), datasets:NAME, `kaggle`, `origin`"
Data = Annotated[str, typer.Option("--data", help=DATA)]
Measured = Annotated[str, typer.Option("--data", help=f"{DATA}, or one file")]
ArtifactDir = Annotated[Path, typer.Option("--model", help="the artifact's directory")]


def main() -> None:
    """Run a command; a mistake is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer's word for Ctrl-C
            print("emotag-train: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(code)
    except TyperException as error:
        why = error.format_message()
    except Interrupted as interrupted:
        if speaks():
            print(f"emotag-train: {interrupted}", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    except (
        AblationError,
        ArtifactError,
        CheckpointError,
        DataError,
        DeviceUnknown,
        OSError,
        RecipeError,
        TeacherError,
        TrackerMissing,
        TrunkError,
        ValueError,
    ) as error:
        match error:
            case OSError(filename=str(name), strerror=str(wrong)):  # without the system's number for it
                why = f"{name}: {wrong}"
            case _:
                why = str(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    print(f"emotag-train: {' '.join(why.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


@app.command()
def fit(
    out: Annotated[Path, typer.Option("--out", help="where the artifact is written")],
    config: Annotated[
        Path | None, typer.Option(help="a TOML file of recipe keys; a run leaves one: recipe.toml")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="over the file; repeatable")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="under the file: `default`, `base` (a trunk of twelve layers), or `original` (the original model's)"
        ),
    ] = None,
    data_: Annotated[str | None, typer.Option("--data", help=DATA)] = None,
    trunk_: Annotated[
        str | None,
        typer.Option("--trunk", help="`minilm`, `bge-small`, `mpnet`, a folder, or a hub id (distilbert-base-uncased)"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="the model's name, shown in every result")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    epochs: Annotated[int | None, typer.Option(help="instead of the preset's")] = None,
    limit: Annotated[int | None, typer.Option(help="only the first rows of train and dev: to try things")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N")] = None,
    precision: Annotated[str | None, typer.Option(help="auto (measured), fp32, bf16")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="200 rows, one epoch: does everything run?")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the unfinished run in --out")] = False,
    track: Annotated[list[str] | None, typer.Option(help="report to `tensorboard` or `mlflow` too; repeatable")] = None,
) -> None:
    """Train a model and export it.

    emotag-train fit --data FOLDER --out runs/mini

    emotag-train fit --config runs/mini/recipe.toml --set learning_rate=1e-4 --set loss=asymmetric --out runs/other

    emotag-train fit --resume --out runs/other

    emotag-train fit --data FOLDER --set teacher=runs/teacher.safetensors --out runs/student

    torchrun --nproc-per-node 4 -m training fit --data FOLDER --out runs/on-four-gpus

    emotag-train fit --data kaggle --trunk distilbert-base-uncased --preset original --out runs/original
    """
    options = {
        "data": data_,
        "trunk": trunk_,
        "name": name,
        "seed": seed,
        "epochs": epochs,
        "limit": limit,
        "device": device,
        "precision": precision,
    }
    changes = {
        **(SMOKE if smoke else {}),
        **{key: value for key, value in options.items() if value is not None},
        **parse_changes(set_ or ()),
    }
    if resume:  # the command that began the run may be given again: what its `auto` came to stands
        kept = begun(out)
        recipe = settled(resolve(preset, config or kept, changes), resolve(None, kept, {}))
    else:
        recipe = resolve(preset, config, changes)
    console = Console(stderr=True)
    figures = train(recipe, out, resume=resume, trackers=track or (), console=console)
    if figures is not None:
        _show(console, figures)
        if not (out / artifact.CONFIG).is_file():
            why = f"of fold {recipe.fold} alone" if recipe.fold else "for no engine runs it"
            console.print(f"{out / TEACHER}: no artifact, {why}; but it can teach")
        else:
            console.print(f"{out}: {artifact.load(out).version}")


@app.command()
def ablate(
    out: Annotated[Path, typer.Option("--out", help="the folder of runs and table; one that is there is gone on with")],
    vary: Annotated[
        list[str], typer.Option("--vary", metavar="KEY=VALUE[,KEY=VALUE]", help="one variation; repeatable")
    ],
    config: Annotated[Path | None, typer.Option(help="a TOML file of recipe keys: what is varied")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="over the file, for all runs; repeatable")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="under the file, as for `fit`")] = None,
    data_: Annotated[str | None, typer.Option("--data", help=DATA)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="runs of each: with the recipe's seed, and those after it")] = 3,
    processes: Annotated[int, typer.Option(min=1, help="runs at a time: a small model does not fill a GPU")] = 1,
) -> None:
    """Say what each change of a recipe is worth, over several seeds.

    emotag-train ablate --vary r_drop=0.5 --vary loss=focal,focal_gamma=1 --data FOLDER --out runs/ab
    """
    recipe = resolve(preset, config, {**({} if data_ is None else {"data": data_}), **parse_changes(set_ or ())})
    console = Console(stderr=True)
    typer.echo(ablated(recipe, vary, seeds=seeds, out=out, console=console, processes=processes))
    typer.echo(f"{out / TABLE}")


@app.command()
def teach(
    teachers: Annotated[
        list[Path],
        typer.Argument(help="artifacts' directories, runs that only teach, or files that `teach` wrote"),
    ],
    out: Annotated[Path, typer.Option("--out", help="the file to write")],
    data_: Data = "origin",
) -> None:
    """Write what trained models say of the training texts, for a student to learn from.

    emotag-train teach runs/a runs/b runs/c --data FOLDER --out runs/teacher.safetensors

    emotag-train fit --data FOLDER --set teacher=runs/teacher.safetensors --out runs/student
    """
    train, dev = data_set.train_and_dev(data_set.find(data_))
    torch.set_num_threads(usable_cores())
    said = heard(teachers, train, dev)
    said.save(out)
    figures = {} if said.dev_MK is None else epoch_figures(said.dev_MK, dev)
    of_dev = "; on dev  " + "  ".join(f"{k} {v}" for k, v in figures.items()) if figures else ""
    models = "1 model" if len(said.versions) == 1 else f"{len(said.versions)} models"
    known = int((said.speaking_N > 0).sum())
    texts = f"{len(train):,} texts" if known == len(train) else f"{known:,} of {len(train):,} texts"
    typer.echo(f"{out}: {models} on {texts}{of_dev}")


@app.command()
def evaluate(
    data_: Measured = "origin",
    model: ArtifactDir = artifact.DEFAULT,
    split: Annotated[str, typer.Option(help="dev, test, train, or a file")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="all figures as one JSON object")] = False,
) -> None:
    """Measure an artifact on labelled texts, with 95 % intervals.

    emotag-train evaluate --data FOLDER

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
    split: Annotated[str, typer.Option(help="dev, test, train, or a file")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="the differences as one JSON object")] = False,
) -> None:
    """Say whether B is better than A on the same texts: differences by the paired bootstrap.

    emotag-train compare runs/a runs/b --data FOLDER
    """
    pair = artifact.load(a), artifact.load(b)
    rows, _ = _labelled(data_, split, pair[0].config.labels)
    torch.set_num_threads(usable_cores())
    found = compared(*pair, rows)
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
def plot(
    out: Annotated[Path, typer.Option("--out", help="the folder to write")],
    data_: Measured = "origin",
    model: ArtifactDir = artifact.DEFAULT,
    split: Annotated[str, typer.Option(help="dev, test, train, or a file")] = "dev",
    beside: Annotated[
        list[Path] | None, typer.Option(help="another artifact to compare it with, by the paired bootstrap; repeatable")
    ] = None,
) -> None:
    """Draw an artifact's figures on labelled texts: PNG files, and report.html with all of them in it.

    emotag-train plot --model runs/mini --beside runs/original --data FOLDER --out runs/mini-report
    """
    from . import page  # with matplotlib: a second that the other commands need not wait

    if out.resolve() == model.resolve():
        raise ValueError(f"{out} is the model itself; --out has to name another directory")
    trained, others = artifact.load(model), [artifact.load(path) for path in beside or ()]
    rows, shared_with = _labelled(data_, split, trained.config.labels)
    out.mkdir(parents=True, exist_ok=True)  # a mistake in it is not to show after a minute of measuring
    torch.set_num_threads(usable_cores())
    probabilities_NK = predict(trained, rows)
    figures = measured(trained, probabilities_NK, rows, shared_with=shared_with)
    _reserve(figures["texts"], figures["left_out_of_ranking"])
    found = {}
    for other in others:
        name = f"{other.name} {other.version[:15]}"
        if name in found:  # the same weights, tuned otherwise
            name = f"{name}, thresholds {other.thresholds_version[:15]}"
        found[name] = compared(other, trained, rows, said_by_b_NK=probabilities_NK)
    pictures = page.pictures(trained, figures, probabilities_NK, rows.targets_NK)
    for picture in pictures:
        if picture.png:
            (out / f"{picture.name}.png").write_bytes(picture.png)
    named = Path(data_).name if Path(data_).is_file() else split
    (out / page.FILE).write_text(page.page(trained, figures, pictures, split=named, beside=found), encoding="utf-8")
    typer.echo(f"{out / page.FILE}: {sum(bool(picture.png) for picture in pictures)} pictures")


@app.command()
def tune(
    model: ArtifactDir,  # no default: it is changed in place, and the shipped one is not the user's
    data_: Data = "origin",
    policy: Annotated[
        str | None,
        typer.Option(
            help="`f1`: the best per label on dev; `precision@0.8`: that precision; `fixed:0.5`: the same; without any,"
            " `f1`, or its own where it is calibrated"
        ),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Platt scaling on dev, folded into the weights: a new model version")
    ] = False,
) -> None:
    """Choose new thresholds for an artifact, in place, with its figures and its card.

    Its weights, and what a cache holds of them, stay valid, unless it is calibrated.

    emotag-train tune --data FOLDER --model runs/mini --policy f1
    """
    found = data_set.find(data_)
    read = found.read("dev")
    torch.set_num_threads(usable_cores())
    trained = artifact.load(model)
    dev = read.split(trained.config.labels)
    policy = policy or (trained.thresholds.policy if calibrate else "f1")
    tuned = with_thresholds(
        with_calibration(trained, dev) if calibrate else trained, dev, policy, shared_with=_train_split(found)
    )
    if calibrate:
        stored = next(short for short, dtype in DTYPES.items() if dtype == trained.weights_dtype)
        artifact.save(tuned, model, card=card(tuned), dtype=stored)
    else:
        artifact.save_tuned(tuned, model, card=card(tuned))
    _show(Console(stderr=True), tuned.metrics["dev"])
    made = artifact.load(model)
    calibrated = f" {made.version}," if calibrate else ""
    typer.echo(f"{model}:{calibrated} thresholds {made.thresholds_version} ({made.thresholds.policy})")
    if policy.startswith("precision@"):
        never = [name for name, t in zip(dev.labels, tuned.thresholds.values, strict=True) if t == 1.0]
        if never:
            typer.echo(f"never that precise on dev, so never given: {', '.join(never)}")


@app.command(name="export")
def export_(
    out: Annotated[Path, typer.Option("--out", help="the directory to write")],
    model: ArtifactDir = artifact.DEFAULT,
    format_: Annotated[str, typer.Option("--format", help="`artifact`; `onnx`: a folder for onnxruntime")] = "artifact",
    dtype: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16 (default); an ONNX graph is fp32")] = None,
    name: Annotated[str, typer.Option(help="a new name; the old one where empty")] = "",
) -> None:
    """Write a checked copy of an artifact, its weights at another precision, or the same model as ONNX.

    Where that rounds them, metrics.json and the card say with which weights the figures were measured; `tune` and
    `evaluate` measure the copy itself.

    emotag-train export --model runs/mini --out runs/mini-fp32 --dtype fp32

    emotag-train export --model runs/mini --out runs/mini-onnx --format onnx
    """
    if format_ not in FORMATS:
        raise typer.BadParameter(f"{format_!r} is unknown; it takes {' or '.join(FORMATS)}", param_hint="--format")
    if dtype is not None and dtype not in DTYPES:
        raise typer.BadParameter(f"{dtype!r} is unknown; it takes {', '.join(DTYPES)}", param_hint="--dtype")
    if format_ == "onnx":
        if dtype not in (None, "fp32"):
            raise typer.BadParameter(f"an ONNX graph is fp32, not {dtype}", param_hint="--dtype")
        from .onnx_folder import export_onnx  # only who asks for it pays for onnx's import

        export_onnx(model, out, name=name)
        typer.echo(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}")
        return
    convert(model, out, dtype=dtype or "fp16", name=name)
    typer.echo(f"{out}: {artifact.load(out).version}")


def _labelled(data_: str, split: str, labels: tuple[str, ...]) -> tuple[Split, Split | None]:
    """The texts to measure on, and the training texts beside them where those are not the same."""
    if Path(data_).is_file():
        return load_split(Path(data_), labels), None
    found = data_set.find(data_)
    if Path(split).suffix[1:] in FILE_FORMATS:
        return load_split(Path(split), labels), _train_split(found)
    return found.read(split).split(labels), None if split == "train" else _train_split(found)


def _reserve(texts: int, left_out: list[str]) -> None:
    """One line where the texts are too few for all figures to mean something."""
    reservations = [f"only {texts} texts, so the intervals are wide"] if texts < FEW_TEXTS else []
    if left_out:
        reservations.append(f"left out of ROC-AUC and average precision, for all texts or none: {', '.join(left_out)}")
    if reservations:
        typer.echo("; ".join(reservations), err=True)


def _train_split(found: DataSet) -> Split | None:
    """The training texts, to measure without those that stand in both; None where they are not at hand."""
    return found.read("train").split() if found.has("train") else None


def _show(console: Console, figures: dict[str, Any]) -> None:
    table = Table("figure", "value", "95 % interval", title=f"{figures['texts']:,} texts")
    for title, value, between in headline(figures):
        shown = "undefined" if value is None else f"{value:.4f}"
        table.add_row(title, shown, f"{between[0]:.4f} to {between[1]:.4f}" if between else "")
    console.print(table)
