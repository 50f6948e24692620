"""The command `distill`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import GOEMOTIONS, Data, Device, app, format_examples
from .checks import check_data_set, check_teachers
from .inputs import prepare_device


@app.command(
    epilog=format_examples(
        "emotag-train distill runs/a runs/b --data mine --out runs/teacher.safetensors",
        "emotag-train fit --data mine --out runs/student \\",
        "    --set distillation.teacher=runs/teacher.safetensors",
    )
)
def distill(
    teachers: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL", help="Directories of models, of runs with a fold or mpnet, or files that distill wrote."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
    data: Data = GOEMOTIONS,
    device: Device = "auto",
) -> None:
    """Store predictions of models, for another model to train on."""
    check_teachers(teachers)
    from emotag_training.presets import resolve
    from emotag_training.recipe import FILE, Recipe

    # Teachers that are files have no recipe; the others were trained on the same texts.
    path = next((found for teacher in teachers if (found := teacher / FILE).is_file()), None)
    recipe = Recipe() if path is None else resolve(None, path, {})
    check_data_set(data, recipe.data.columns)
    from emotag_training.data import sources
    from emotag_training.distillation.teacher import collect_predictions
    from emotag_training.loop.fit import compute_epoch_figures

    train, dev = sources.read_train_and_dev(sources.find_data_set(data, recipe.data.columns))
    teacher = collect_predictions(teachers, train, dev, device=prepare_device(device))
    teacher.save(out)
    figures = {} if teacher.dev_MK is None else compute_epoch_figures(teacher.dev_MK, dev)
    of_dev = "; on dev  " + "  ".join(f"{name} {value}" for name, value in figures.items()) if figures else ""
    models = "1 model" if len(teacher.versions) == 1 else f"{len(teacher.versions)} models"
    covered = int((teacher.models_per_text_N > 0).sum())
    texts = f"{len(train):,} texts" if covered == len(train) else f"{covered:,} of {len(train):,} texts"
    typer.echo(f"{out}: {models} on {texts}{of_dev}")
