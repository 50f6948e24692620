"""What `emotag-train fit` does once its recipe is settled.

    texts, trunk → model → fit → artifact

Every process that torchrun started goes through it; the first one writes and shows.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from model.artifact import CONFIG
from model.device import choose_device, usable_cores
from model.distilbert_cnn import DistilBertCNN
from model.tokens import Tokens

from . import data_set
from .batches import POOL_BATCHES
from .checkpoint import Checkpoints, Interrupted
from .data import DataError, Split, with_mean_of_repeats
from .evaluate import figures as measured_by
from .export import export
from .fit import Run, fit, probabilities
from .folds import left_out
from .interrupt import Interrupt
from .kernels import side_by_side, sizes_of
from .metrics import ranked
from .precision import computing_in
from .progress import require, watchers
from .ranks import Ranks, joined, processes_here, typed
from .recipe import FILE as RECIPE
from .recipe import Recipe, RecipeError
from .speed import fastest_precision, times_the_original
from .teacher import FILE as TEACHER
from .teacher import Teacher, corrected, load_teacher, taught
from .trunk import PretrainedTrunk, load_trunk
from .tune import choose_thresholds


def train(
    recipe: Recipe, out: Path, *, resume: bool, trackers: Sequence[str], console: Console
) -> dict[str, Any] | None:
    """Train a model by *recipe* and write it to *out* as an artifact; or, where it can only teach, what it says.

    Args:
        resume: go on with the unfinished run in *out*.
        trackers: as for `watchers`.

    Returns:
        The figures on dev, as an artifact has them; None in all processes but the first.

    Raises:
        Interrupted: it was asked to stop; its checkpoint is there.
        CheckpointError, DataError, DeviceUnknown, RecipeError, TeacherError, TrackerMissing, TrunkError, OSError: as
            they say.
    """
    require(trackers)
    recipe = recipe.model_copy(update={"device": choose_device(recipe.device)})
    with joined(recipe.device) as (ranks, device):
        return _train(recipe, out, resume=resume, trackers=trackers, console=console, ranks=ranks, device=device)


def _train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    trackers: Sequence[str],
    console: Console,
    ranks: Ranks,
    device: torch.device,
) -> dict[str, Any] | None:
    out.mkdir(parents=True, exist_ok=True)  # a mistake in it is not to show after an hour of training
    torch.set_num_threads(max(1, usable_cores() // processes_here()))
    raters, train_split, dev, teacher = texts(recipe)
    if not resume:
        Checkpoints(out, recipe, train_split, dev).refuse_unfinished()
    start, model = untrained(recipe, train_split.labels)
    only_teaches = start.only_teaches or bool(recipe.fold)
    if only_teaches and recipe.calibrate:
        raise RecipeError("calibrate = true: this run leaves no artifact that could be; leave it out")
    if only_teaches and (out / CONFIG).exists():
        raise RecipeError(f"{out} holds an artifact, and this run leaves none: give another --out")
    tokens = Tokens(start.tokenizer, max_tokens=recipe.max_tokens)
    model.to(device)
    # Measured before `fit` sets its seed: to measure draws dropout, and that must not change the run.
    if recipe.precision == "auto":
        precision = "bf16" if ranks.agree(0.0, fastest_precision(model, device) == "bf16")[1] else "fp32"
        recipe = recipe.model_copy(update={"precision": precision})
    few = np.random.default_rng(recipe.seed).permutation(len(train_split))[: POOL_BATCHES * recipe.batch_size]
    faster = times_the_original(model, tokens([train_split.texts[row] for row in few]), recipe, device)
    checkpoints = Checkpoints(out, recipe, train_split, dev, processes=ranks.world)
    if ranks.leads:
        checkpoints.begin(recipe, typed(*sys.argv[1:]), again=resume)
    name = recipe.name or out.resolve().name
    quiet = Console(quiet=True)
    again = f"go on with: {typed('fit', '--resume', '--out', str(out))}"
    run, stopped = None, ""
    try:
        with (
            watchers(
                console if ranks.leads else quiet,
                trackers if ranks.leads else (),
                out=out,
                name=name,
                parameters=recipe.model_dump(),
            ) as progress,
            Interrupt() as stop,
        ):
            run = fit(
                model,
                tokens,
                train_split,
                dev,
                recipe,
                progress=progress,
                device=device,
                checkpoints=checkpoints,
                resume=resume,
                stop=stop,
                ranks=ranks,
            )
    except Interrupted as interrupted:
        stopped = str(interrupted)
    if run is None:  # raised here, since what is raised in a handler keeps `fit`'s frame, and that the processes' group
        raise Interrupted(f"{stopped}; {again}")
    if not ranks.leads:
        return None
    compared = "" if faster is None else f", {faster:.1f} times as fast as padded to 128 in fp32"
    console.print(f"trained at {run.examples_per_s:.0f} texts/s in {recipe.precision}{compared}")
    record = {
        "command": checkpoints.command,
        "trunk": start.origin,
        "preset": recipe.preset,
        "recipe": recipe.model_dump(),
        "seed": recipe.seed,
        "taught_by": [] if teacher is None else teacher.versions,
        "processes": ranks.world,
        "minutes": round(run.total_s / 60, 1),
        "examples_per_s": round(run.examples_per_s, 1),
        "times_the_original": None if faster is None else round(faster, 1),
        "best_epoch": run.best_epoch,
        "epochs": run.history,
    }
    try:
        if only_teaches:
            (out / RECIPE).write_text(recipe.toml(), encoding="utf-8")
            figures = _leave_teacher(run, tokens, out / TEACHER, recipe, raters, dev, device)
        else:
            figures = export(
                run.model,
                start.tokenizer,
                out,
                train=raters,
                dev=dev,
                name=name,
                calibrated=recipe.calibrate,
                threshold_policy=recipe.threshold,
                record=record,
                recipe=recipe.toml(),
            )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted after the last epoch; {again}") from None
    checkpoints.remove()
    return figures


def _leave_teacher(
    run: Run, tokens: Tokens, path: Path, recipe: Recipe, train_split: Split, dev: Split, device: torch.device
) -> dict[str, Any]:
    """Write what a model that no artifact holds says of the texts; its figures on dev, thresholds tuned there.

    Of all training texts; where it left out a fold of them, of that one. It says so in the precision it was trained in:
    a large one would take long in another.
    """
    with computing_in(recipe.precision, device):
        asked = np.flatnonzero(left_out(train_split, recipe.fold)) if recipe.fold else np.arange(len(train_split))
        said_NK, of_dev_MK = (
            probabilities(run.model, tokens(split.texts), device=device) for split in (train_split.take(asked), dev)
        )
    of_train_NK = np.zeros((len(train_split), len(train_split.labels)), np.float32)
    of_train_NK[asked] = said_NK
    models_N = np.zeros(len(train_split), np.int64)
    models_N[asked] = 1
    Teacher(
        of_train_NK,
        train_split.labels,
        train_split.sha256,
        (run.version,),
        dev_MK=of_dev_MK,
        models_N=models_N if recipe.fold else None,
    ).save(path)
    return measured_by(of_dev_MK, choose_thresholds(of_dev_MK, dev, recipe.threshold), dev, shared_with=train_split)


def untrained(recipe: Recipe, labels: tuple[str, ...]) -> tuple[PretrainedTrunk, DistilBertCNN]:
    """A recipe's trunk, and the model on it that nothing has trained yet.

    Raises:
        TrunkError: the trunk cannot be had.
        RecipeError: it is none for this recipe.
    """
    start = load_trunk(recipe.trunk)
    if start.only_teaches and recipe.cache_frozen:
        raise RecipeError(f"trunk {recipe.trunk!r} only teaches: cache_frozen is not for it")
    layers = start.dimensions["n_layers"]
    if (recipe.trainable_layers or 0) > layers:
        raise RecipeError(f"trainable_layers = {recipe.trainable_layers}: trunk {recipe.trunk!r} has {layers}")
    torch.manual_seed(recipe.seed)  # the head's first weights are drawn here
    sizes = sizes_of(recipe.kernel_sizes)
    model = start.grow(
        labels=labels,
        max_tokens=recipe.max_tokens,
        kernel_size=max(sizes),
        head_dropout=recipe.head_dropout,
        trunk_dropout=recipe.trunk_dropout,
    )
    side_by_side(model, sizes)
    return start, model


def texts(recipe: Recipe) -> tuple[Split, Split, Split, Teacher | None]:
    """All training texts with the raters' labels; those learnt from, as the recipe makes them; dev; who taught.

    Raises:
        DataError, TeacherError: as they say.
    """
    raters, dev = data_set.train_and_dev(data_set.find(recipe.data))
    if recipe.limit is not None:
        raters, dev = (split.take(range(min(recipe.limit, len(split)))) for split in (raters, dev))
    train_split = with_mean_of_repeats(raters) if recipe.repeats == "mean" else raters
    teacher = load_teacher(Path(recipe.teacher)) if recipe.teacher else None
    if teacher is not None:
        if recipe.confident_learning:
            train_split = corrected(train_split, teacher)
        train_split = taught(train_split, teacher, share=recipe.teacher_share)
    if recipe.fold:
        train_split = train_split.take(np.flatnonzero(~left_out(train_split, recipe.fold)))
    if not ranked(dev.targets_NK).any():
        raise DataError(
            f"these {len(dev)} dev texts tell no model from another: of each label, all or none of them have it"
        )
    return raters, train_split, dev, teacher
