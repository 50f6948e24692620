"""The command `average`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import GOEMOTIONS, Data, Device, app, format_examples
from .checks import check_data_set, check_runs
from .inputs import prepare_device
from .render import print_figures, warn_of_few_texts


@app.command(
    epilog=format_examples(
        "emotag-train average runs/seed-42 runs/seed-43 runs/seed-44 --data mine --out runs/mean",
    )
)
def average(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help=(
                "Directories of two or more runs that continue the same model (head.continued = true) by one recipe,"
                " with different seeds."
            ),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write.")],
    data: Data = GOEMOTIONS,
    device: Device = "auto",
) -> None:
    """Make one model whose weights are the mean of several runs."""
    from emotag_training.presets import resolve
    from emotag_training.recipe import FILE

    check_runs(runs, out)
    check_data_set(data, resolve(None, runs[0] / FILE, {}).data.columns)
    from rich.console import Console

    from emotag_model import artifact
    from emotag_training.export.average import average as write_mean
    from emotag_training.loop.distributed import format_command

    command = format_command("average", *map(str, runs), "--data", data, "--out", str(out))
    figures = write_mean(runs, out, source=data, device=prepare_device(device), command=command)
    print_figures(Console(stderr=True), figures)
    warn_of_few_texts(figures["texts"], figures["left_out_of_ranking"])
    typer.echo(f"{out}: {artifact.load(out).version}")
