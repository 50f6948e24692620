"""The command `fit`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import DATA, DEVICES, LABEL_COLUMNS, app, format_examples
from .checks import check_run

if TYPE_CHECKING:
    from emotag_training.recipe import Recipe

ENCODERS = "minilm, bge-small, mpnet, a folder, or a hub id such as distilbert-base-uncased."
PRESET = "Start from default, base (a twelve-layer encoder), or reference (the recipe of burning-phoenix/GoEmotions)."


@app.command(
    epilog=format_examples(
        "emotag-train fit --data mine.csv --text-column body --label-columns mood --out runs/mine",
        "emotag-train fit --data mine --preset base --set loss.kind=asymmetric \\",
        "    --out runs/other",
        "emotag-train fit --config runs/other/recipe.toml --seed 43 --out runs/again",
        "emotag-train fit --resume --out runs/other",
        "torchrun --nproc-per-node 4 --no-python \\",
        "    emotag-train fit --data mine --out runs/four",
    )
)
def fit(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write the model to.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the recipe from a TOML file. Each run writes one: recipe.toml."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one key, for example loss.kind=bce. Repeatable."),
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=PRESET)] = None,
    data_: Annotated[str | None, typer.Option("--data", metavar="DATA", help=DATA)] = None,
    text_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the texts (default: text).")
    ] = None,
    label_columns: Annotated[str | None, typer.Option(metavar="NAME,NAME", help=LABEL_COLUMNS)] = None,
    encoder: Annotated[str | None, typer.Option("--encoder", metavar="NAME", help=ENCODERS)] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the model in every result.")] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Seed of everything that is random.")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="N", help="Number of passes over the texts.")] = None,
    limit: Annotated[str | None, typer.Option(metavar="N", help="Use only the first rows of train and dev.")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help=DEVICES)] = None,
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="auto (measured), fp32 or bf16.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="200 rows and one epoch: check that everything runs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished run in --out.")] = False,
    track: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also report to tensorboard or mlflow. Repeatable.")
    ] = None,
) -> None:
    """Train a model.

    docs/train.md explains every key of a recipe.
    """
    from emotag_training.presets import SMOKE, parse_changes

    options = {
        "data.source": data_,
        "data.text_column": text_column,
        "data.label_columns": label_columns,
        "data.limit": limit,
        "encoder.name": encoder,
        "schedule.epochs": epochs,
        "run.name": name,
        "run.seed": seed,
        "run.device": device,
        "run.precision": precision,
    }
    changes = {
        **(SMOKE if smoke else {}),
        **{key: value for key, value in options.items() if value is not None},
        **parse_changes(set_ or ()),
    }
    recipe = _resolve(preset, config, changes, resumed=out if resume else None)
    check_run(recipe, out, track or ())
    _train(recipe, out, resume=resume, trackers=track or ())


def _resolve(
    preset: str | None, config: Path | None, changes: Mapping[str, object], *, resumed: Path | None
) -> "Recipe":
    """Return the recipe that the options describe. In a resumed run, `auto` keeps the value that it had."""
    from emotag_training.presets import keep_automatic, resolve

    if resumed is None:
        return resolve(preset, config, changes)
    from emotag_training.loop.checkpoint import find_unfinished_recipe

    kept = find_unfinished_recipe(resumed)
    return keep_automatic(resolve(preset, config or kept, changes), resolve(None, kept, {}))


def _train(recipe: "Recipe", out: Path, *, resume: bool, trackers: list[str] | tuple[str, ...]) -> None:
    from rich.console import Console

    console = Console(stderr=True, markup=False)  # names of files can contain brackets
    console.print(f"reading {recipe.data.source}", soft_wrap=True)

    from emotag_model import artifact
    from emotag_training import run  # imports torch, which takes seconds
    from emotag_training.distillation.teacher import FILE as TEACHER

    from .render import print_figures, warn_of_few_texts

    figures = run.train(recipe, out, command=sys.argv[1:], resume=resume, trackers=trackers, console=console)
    if figures is None:  # not the first process
        return
    print_figures(console, figures)
    warn_of_few_texts(figures["texts"], figures["left_out_of_ranking"])
    if (out / artifact.CONFIG).is_file():
        console.print(f"{out}: {artifact.load(out).version}", soft_wrap=True)
    else:
        reason = f"the run left out fold {recipe.data.fold}" if recipe.data.fold else "no engine runs this encoder"
        console.print(f"{out / TEACHER}: predictions to distill from, instead of a model: {reason}", soft_wrap=True)
