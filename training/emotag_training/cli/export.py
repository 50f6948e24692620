"""The command `export`."""

from pathlib import Path
from typing import Annotated

import typer

from .app import ModelDir, app, format_examples

FORMATS = ("artifact", "onnx")


@app.command(
    epilog=format_examples(
        "emotag-train export --model runs/mine --out runs/mine-fp32 --dtype fp32",
        "emotag-train export --model runs/mine --out runs/mine-onnx --format onnx",
    )
)
def export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write.")],
    model: ModelDir = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="artifact, or onnx: a folder for onnxruntime.")
    ] = "artifact",
    dtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="fp32, bf16 or fp16 (default). An ONNX graph is always fp32.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="New name of the model; without it, the name stays.")] = "",
) -> None:
    """Copy a model in another format, or write it as ONNX.

    If the copy rounds the weights, metrics.json and the card name the weights that the figures were measured with. To
    measure the copy itself, use evaluate.
    """
    from emotag_model import artifact
    from emotag_model.weights import DTYPES

    source = model or artifact.DEFAULT
    if format_ not in FORMATS:
        raise typer.BadParameter(f"{format_!r} is unknown; use {' or '.join(FORMATS)}", param_hint="--format")
    if dtype is not None and dtype not in DTYPES:
        raise typer.BadParameter(f"{dtype!r} is unknown; use {', '.join(DTYPES)}", param_hint="--dtype")
    if format_ == "onnx":
        if dtype not in (None, "fp32"):
            raise typer.BadParameter(f"an ONNX graph is fp32, not {dtype}; remove the option", param_hint="--dtype")
        from emotag_training.export.onnx_folder import export_onnx

        export_onnx(source, out, name=name)
        typer.echo(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}")
        return
    from emotag_training.export.artifact_writer import convert

    convert(source, out, dtype=dtype or "fp16", name=name)
    typer.echo(f"{out}: {artifact.load(out).version}")
