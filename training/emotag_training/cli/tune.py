"""The command `tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import GOEMOTIONS, Data, Device, app, format_examples
from .inputs import find_columns, prepare_device, read_labelled_texts
from .render import print_figures, warn_of_few_texts

if TYPE_CHECKING:
    from emotag_model.artifact import Artifact
    from emotag_training.evaluation.thresholds import HeldOut

POLICY = (
    "f1 (default): the threshold of each label with the best F1 on dev; precision@0.8: the smallest one that shows"
    " that precision; fixed:0.5: the same for all labels. With --calibrate the default is the model's own policy."
)


@app.command(
    epilog=format_examples(
        "emotag-train tune --model runs/mine --data mine --policy precision@0.8",
        "emotag-train tune --model runs/mine --data mine --calibrate",
        "emotag-train tune --model runs/mine --data mine --predictions runs/teacher.safetensors",
    )
)
def tune(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="Directory of the model to change.")],
    data: Data = GOEMOTIONS,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help=POLICY)] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Also fit Platt scaling on dev. This changes the weights.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="For f1: choose on these out-of-fold predictions for train, which distill wrote, not on dev.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Choose new thresholds for a model, without training.

    The directory is changed in place: thresholds, figures and card.
    Without --calibrate the weights stay the same, so a cache of their results stays valid.
    """
    from emotag_model import artifact
    from emotag_training.evaluation.thresholds import parse_policy

    trained = artifact.load(model)
    parse_policy(policy or "f1")
    rows, shared_with = read_labelled_texts(data, "dev", trained)

    from rich.console import Console

    from emotag_model.weights import DTYPES
    from emotag_training.evaluation import tuning
    from emotag_training.evaluation.evaluate import tokenize
    from emotag_training.report.card import render_card

    device = prepare_device(device)
    dev = tokenize(trained, rows)
    policy = policy or (trained.thresholds.policy if calibrate else "f1")
    weighted = tuning.calibrate(trained, dev, device=device) if calibrate else trained
    held_out = None if predictions is None else _read_held_out(predictions, data, trained, policy)
    tuned = tuning.tune(weighted, dev, policy, held_out=held_out, shared_with=shared_with, device=device)
    if calibrate:
        stored = next(short for short, dtype in DTYPES.items() if dtype == trained.weights_dtype)
        artifact.save(tuned, model, card=render_card(tuned), dtype=stored)
    else:
        artifact.save_tuned(tuned, model, card=render_card(tuned))
    figures = tuned.metrics["dev"]
    print_figures(Console(stderr=True), figures)
    warn_of_few_texts(figures["texts"], figures["left_out_of_ranking"])
    _report(artifact.load(model), model, calibrated=calibrate)


def _read_held_out(file: Path, data: str, trained: "Artifact", policy: str) -> "HeldOut":
    """Read out-of-fold predictions.

    Raises:
        TeacherError: the file cannot be used.
        PolicyError: the policy does not use predictions.
    """
    from emotag_training.data import sources
    from emotag_training.distillation.teacher import find_held_out, load_teacher
    from emotag_training.errors import PolicyError, TeacherError

    if policy != "f1":
        raise PolicyError(f"--predictions {file}: the policy {policy} does not use predictions; remove the option")
    train = sources.find_data_set(data, find_columns(trained)).read("train").split(trained.config.labels)
    held_out = find_held_out(load_teacher(file), train)
    if held_out is None:
        raise TeacherError(
            f"--predictions {file}: its models predicted texts that they had trained on; use predictions of folds"
            " (docs/train.md, Distill a teacher)"
        )
    return held_out


def _report(made: "Artifact", model: Path, *, calibrated: bool) -> None:
    version = f" {made.version}," if calibrated else ""
    typer.echo(f"{model}:{version} thresholds {made.thresholds_version} ({made.thresholds.policy})")
    if made.thresholds.policy.startswith("precision@"):
        pairs = zip(made.thresholds.labels, made.thresholds.values, strict=True)
        never = [label for label, threshold in pairs if threshold == 1.0]
        if never:
            typer.echo(f"no threshold shows that precision on dev, so the model never gives: {', '.join(never)}")
