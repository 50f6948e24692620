"""The command `average`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import Device, app, format_examples
from .inputs import prepare_device


@app.command(
    epilog=format_examples(
        "emotag-train fit --encoder runs/first --data mine --seed 1 --out runs/one",
        "emotag-train fit --encoder runs/first --data mine --seed 2 --out runs/two",
        "emotag-train average runs/one runs/two --out runs/mean",
    )
)
def average(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help="Directories of runs that continued from one model.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write the model to.")],
    device: Device = "auto",
) -> None:
    """Average the weights of several runs that differ in their seed.

    Calibration and thresholds are chosen again, by the recipe and on the texts of the first run.
    """
    from rich.console import Console

    from emotag_training.export.averaging import average as average_models
    from emotag_training.loop.distributed import format_command

    command = format_command("average", *map(str, models), "--out", str(out))
    figures = average_models(models, out, command=command, device=prepare_device(device))

    from .render import print_figures

    print_figures(Console(stderr=True), figures)
    typer.echo(str(out))
