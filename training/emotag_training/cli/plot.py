"""The command `plot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import GOEMOTIONS, Device, Measured, ModelDir, SplitName, app, format_examples
from .inputs import load_model, prepare_device, read_labelled_texts
from .render import warn_of_few_texts

if TYPE_CHECKING:
    from emotag_model.artifact import Artifact
    from emotag_training.data.split import Split
    from emotag_training.evaluation.metrics import Floats


@app.command(
    epilog=format_examples(
        "emotag-train plot --model runs/mine --data mine --out runs/mine-report",
        "emotag-train plot --model runs/mine --compare-with runs/other --data mine \\",
        "    --out runs/mine-report",
    )
)
def plot(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write.")],
    data: Measured = GOEMOTIONS,
    model: ModelDir = None,
    split: SplitName = "dev",
    compare_with: Annotated[
        list[Path] | None,
        typer.Option("--compare-with", metavar="DIR", help="Directory of a model to compare with. Repeatable."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Draw the figures of a model, and write report.html.

    The output has one PNG file per picture; report.html contains all of them and needs no network.
    """
    trained, others = load_model(model), [load_model(path) for path in compare_with or ()]
    rows, shared_with = read_labelled_texts(data, split, trained, others)

    from emotag_model import artifact
    from emotag_training.evaluation.evaluate import measure, tokenize
    from emotag_training.evaluation.prediction import predict
    from emotag_training.export.artifact_writer import refuse_source
    from emotag_training.report import html_page

    refuse_source(out, model or artifact.DEFAULT)
    out.mkdir(parents=True, exist_ok=True)  # a wrong path must fail now, not after a minute of measuring
    device = prepare_device(device)
    texts = tokenize(trained, rows)
    probabilities_NK = predict(trained, texts, device=device)
    figures = measure(trained, probabilities_NK, texts, shared_with=shared_with, device=device)
    warn_of_few_texts(figures["texts"], figures["left_out_of_ranking"])
    compared = _compare(trained, others, rows, probabilities_NK, device=device)
    pictures = html_page.draw_pictures(trained, figures, probabilities_NK, rows.targets_NK)
    for picture in pictures:
        if picture.png:
            (out / f"{picture.name}.png").write_bytes(picture.png)
    title = Path(data).name if Path(data).is_file() else split
    page = html_page.render_page(trained, figures, pictures, split=title, compared=compared)
    (out / html_page.FILE).write_text(page, encoding="utf-8")
    typer.echo(f"{out / html_page.FILE}: {sum(bool(picture.png) for picture in pictures)} pictures")


def _compare(
    trained: "Artifact", others: "list[Artifact]", rows: "Split", probabilities_NK: "Floats", *, device: str
) -> dict[str, dict[str, Any]]:
    """Return, by the name of each other model, how far *trained* is ahead of it."""
    from emotag_training.evaluation.evaluate import compare_models

    found: dict[str, dict[str, Any]] = {}
    for other in others:
        name = f"{other.name} {other.version[:15]}"
        if name in found:  # the same weights with other thresholds
            name = f"{name}, thresholds {other.thresholds_version[:15]}"
        found[name] = compare_models(other, trained, rows, probabilities_of_b_NK=probabilities_NK, device=device)
    return found
