"""The command `average`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import GOEMOTIONS, Data, Device, app, format_examples
from .inputs import prepare_device
from .render import print_figures


@app.command(
    epilog=format_examples(
        "emotag-train average runs/seed-42 runs/seed-43 runs/seed-44 --data mine --out runs/mean",
    )
)
def average(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Directories of models from one recipe with head.continued, by other seeds."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write.")],
    data: Data = GOEMOTIONS,
    device: Device = "auto",
) -> None:
    """Make one model whose weights are the mean of several runs."""
    from rich.console import Console

    from emotag_model import artifact
    from emotag_training.export.average import average as write_mean
    from emotag_training.loop.distributed import format_command

    command = format_command("average", *map(str, runs), "--data", data, "--out", str(out))
    figures = write_mean(runs, out, source=data, device=prepare_device(device), command=command)
    print_figures(Console(stderr=True), figures)
    typer.echo(f"{out}: {artifact.load(out).version}")
