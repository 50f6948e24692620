"""One training run, from a recipe to an artifact.

    read texts → load encoder, build model → fit → write the artifact

Every process that torchrun started executes it; the first one writes and displays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from emotag_model.artifact import CONFIG
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.device import choose_device, count_usable_cores
from emotag_model.forward import compute_probabilities
from emotag_model.tokens import Tokens
from emotag_training.errors import EncoderError, Interrupted, RecipeError

from .augmentation.augmented import Augmentation
from .data.languages import describe_foreign_texts
from .data.split import TokenizedSplit, describe_splits
from .distillation.folds import mark_fold
from .distillation.teacher import FILE as TEACHER
from .distillation.teacher import Teacher, find_held_out
from .encoders.pretrained import PretrainedEncoder, load_encoder
from .evaluation.evaluate import compute_figures
from .evaluation.rare_labels import find_rare_labels
from .evaluation.thresholds import choose_thresholds
from .export.artifact_writer import export, refuse_source
from .loop.checkpoint import Checkpoints
from .loop.distributed import Ranks, count_local_processes, format_command, join_processes
from .loop.fit import fit
from .loop.interrupt import Interrupt
from .loop.kernel_sizes import narrow_kernels, parse_kernel_sizes
from .loop.precision import autocast, measure_fastest_precision
from .loop.state import Run
from .loop.trackers import open_watchers, require_trackers
from .presets import apply_changes
from .recipe import FILE as RECIPE
from .recipe import Recipe
from .texts import Texts, read_texts


@dataclass(frozen=True)
class Job:
    """A run that is ready to fit.

    Attributes:
        recipe: with `auto` resolved.
        dev: tokenized once for everything that measures on it.
    """

    recipe: Recipe
    out: Path
    texts: Texts
    encoder: PretrainedEncoder
    model: DistilBertCNN
    tokens: Tokens
    dev: TokenizedSplit
    checkpoints: Checkpoints
    ranks: Ranks
    device: torch.device

    @property
    def name(self) -> str:
        """The model's name."""
        return self.recipe.run.name or self.out.resolve().name

    @property
    def writes_teacher(self) -> bool:
        """True if the run writes predictions to distill from instead of an artifact."""
        return _writes_teacher(self.encoder, self.recipe)

    @property
    def again(self) -> str:
        """The command that continues the run, as the end of a message."""
        return f"continue with: {format_command('fit', '--resume', '--out', str(self.out))}"


def train(
    recipe: Recipe,
    out: Path,
    *,
    command: Sequence[str],
    resume: bool,
    trackers: Sequence[str],
    console: Console,
    needs_artifact: bool = False,
) -> dict[str, Any] | None:
    """Train a model by *recipe* and write it to *out*: an artifact, or predictions to distill from.

    Args:
        command: the arguments of `emotag-train` that repeat the run, for its record.
        resume: continue the unfinished run in *out*.
        trackers: as for `open_watchers`.
        needs_artifact: refuse a run that would write predictions.

    Returns:
        The figures on dev; None in all processes but the first.

    Raises:
        Interrupted: the run stopped on request; its checkpoint was written.
        TrainingError, DeviceUnknown, OSError: the run cannot start or continue, or cannot write.
    """
    require_trackers(trackers)
    recipe = apply_changes(recipe, {"run.device": choose_device(recipe.run.device)})
    with join_processes(recipe.run.device) as (ranks, device):
        # Names of labels and files can contain brackets, which are no markup.
        report = partial((console if ranks.leads else Console(quiet=True)).print, soft_wrap=True, markup=False)
        job = prepare(
            recipe,
            out,
            command=command,
            resume=resume,
            ranks=ranks,
            device=device,
            report=report,
            needs_artifact=needs_artifact,
        )
        if ranks.leads and (warning := describe_foreign_texts(job.dev.split.texts, recipe.data.language_codes)):
            report(f"warning: {warning}")
        run = _fit(job, resume=resume, trackers=trackers, console=console)
        if not ranks.leads:
            return None
        console.print(f"trained at {run.examples_per_s:.0f} texts/s in {job.recipe.run.precision}")
        return _write_result(job, run)


def prepare(
    recipe: Recipe,
    out: Path,
    *,
    command: Sequence[str],
    resume: bool,
    ranks: Ranks,
    device: torch.device,
    report: Callable[[str], None],
    needs_artifact: bool = False,
) -> Job:
    """Read the texts, build the model, resolve `auto`, and begin a checkpoint.

    Raises:
        TrainingError, OSError: the run cannot start.
    """
    torch.set_num_threads(max(1, count_usable_cores() // count_local_processes()))
    texts = read_texts(recipe.data, recipe.distillation)
    report(describe_splits(texts.train, texts.dev))
    if not resume:
        Checkpoints(out, recipe, texts.train, texts.dev).refuse_unfinished()
    report(f"loading the encoder {recipe.encoder.name}")
    encoder, model = build_model(recipe, texts.train.labels)
    refuse_source(out, Path(recipe.encoder.name))
    _check_output(recipe, encoder, out, needs_artifact=needs_artifact)
    out.mkdir(parents=True, exist_ok=True)  # a wrong path must fail now, not after an hour of training
    model.to(device)
    # Measured before `fit` sets its seed: the measurement draws dropout, which must not change the run.
    if recipe.run.precision == "auto":
        bf16 = ranks.agree(0.0, measure_fastest_precision(model, device) == "bf16")[1]
        recipe = apply_changes(recipe, {"run.precision": "bf16" if bf16 else "fp32"})
    checkpoints = Checkpoints(out, recipe, texts.train, texts.dev, processes=ranks.world, start=encoder.continued_from)
    if ranks.leads:
        checkpoints.begin(recipe, format_command(*command), again=resume)
    tokens = Tokens(encoder.tokenizer, max_tokens=recipe.encoder.max_tokens)
    dev = TokenizedSplit.of(texts.dev, tokens)
    return Job(recipe, out, texts, encoder, model, tokens, dev, checkpoints, ranks, device)


def _writes_teacher(encoder: PretrainedEncoder, recipe: Recipe) -> bool:
    return encoder.only_teaches or bool(recipe.data.fold)


def _check_output(recipe: Recipe, encoder: PretrainedEncoder, out: Path, *, needs_artifact: bool) -> None:
    """Raise `RecipeError` if the run writes no artifact, but has to write, calibrate or replace one."""
    if not _writes_teacher(encoder, recipe):
        return
    if needs_artifact:
        reason = f"data.fold = {recipe.data.fold!r}" if recipe.data.fold else f"encoder.name = {recipe.encoder.name!r}"
        raise RecipeError(f"{reason}: such a run writes no model; use `emotag-train fit`")
    if recipe.run.calibrate:
        raise RecipeError("run.calibrate = true: this run writes no artifact to calibrate; remove the key")
    if (out / CONFIG).exists():
        raise RecipeError(f"{out} contains an artifact, and this run writes none: choose another --out")


def _fit(job: Job, *, resume: bool, trackers: Sequence[str], console: Console) -> Run:
    """Fit the model; on request to stop, raise `Interrupted` with the command that continues."""
    leads, mask_id = job.ranks.leads, _find_mask_id(job)
    run, stopped = None, ""
    try:
        with (
            open_watchers(
                console if leads else Console(quiet=True),
                trackers if leads else (),
                out=job.out,
                name=job.name,
                parameters=job.recipe.flatten(),
            ) as progress,
            Interrupt() as stop,
        ):
            train = TokenizedSplit.of(job.texts.train, job.tokens)
            run = fit(
                job.model,
                train,
                job.dev,
                job.recipe,
                progress=progress,
                device=job.device,
                mask_id=mask_id,
                checkpoints=job.checkpoints,
                resume=resume,
                stop=stop,
                ranks=job.ranks,
                augment=Augmentation.of(job.recipe, train, job.texts.annotated, job.tokens),
            )
    except Interrupted as interrupted:
        stopped = str(interrupted)
    # Raised outside the handler: there it would keep the frame of `fit` alive, and with it the process group.
    if run is None:
        raise Interrupted(f"{stopped}; {job.again}")
    return run


def _find_mask_id(job: Job) -> int:
    """Return the id of the encoder's mask token; 0 if the recipe masks no tokens."""
    if not job.recipe.encoder.token_masking:
        return 0
    try:
        return job.tokens.id_of("[MASK]", "<mask>")
    except ValueError as error:
        raise EncoderError(
            f"encoder {job.recipe.encoder.name!r} has no mask token: set encoder.token_masking=0"
        ) from error


def _write_result(job: Job, run: Run) -> dict[str, Any]:
    """Write the artifact, or the predictions to distill from, and delete the checkpoint; return the figures on dev."""
    try:
        if job.writes_teacher:
            (job.out / RECIPE).write_text(job.recipe.toml(), encoding="utf-8")
            figures = _write_teacher(job, run)
        else:
            teacher = job.texts.teacher
            figures = export(
                run.model,
                job.encoder.tokenizer,
                job.out,
                train=job.texts.annotated,
                dev=job.dev,
                held_out=None if teacher is None else find_held_out(teacher, job.texts.annotated),
                recipe=job.recipe,
                name=job.name,
                record=_describe(job, run),
            )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted after the last epoch; {job.again}") from None
    job.checkpoints.remove()
    return figures


def _describe(job: Job, run: Run) -> dict[str, Any]:
    """Return the record of a run, for training.json."""
    start = {"continued_from": job.encoder.continued_from} if job.encoder.continued_from else {}
    return {
        "command": job.checkpoints.command,
        "encoder": job.encoder.origin,
        **start,
        "preset": job.recipe.preset,
        "recipe": job.recipe.model_dump(),
        "seed": job.recipe.run.seed,
        "teachers": [] if job.texts.teacher is None else list(job.texts.teacher.versions),
        "processes": job.ranks.world,
        "minutes": round(run.total_s / 60, 1),
        "examples_per_s": round(run.examples_per_s, 1),
        "best_epoch": run.best_epoch,
        "epochs": run.history,
    }


def _write_teacher(job: Job, run: Run) -> dict[str, Any]:
    """Write the model's predictions for the training texts, and return its figures on dev, with thresholds tuned there.

    The predictions cover all training texts; after a run that left a fold out, only that fold. They are computed in the
    precision of the training, because a large model would be slow in another one.
    """
    split, fold = job.texts.annotated, job.recipe.data.fold
    rows = np.flatnonzero(mark_fold(split, fold)) if fold else np.arange(len(split))
    predicted = TokenizedSplit.of(split.take(rows), job.tokens)
    with autocast(job.recipe.run.precision, job.device):
        rows_NK, dev_MK = (
            compute_probabilities(run.model, texts.token_ids, device=job.device) for texts in (predicted, job.dev)
        )
    of_train_NK = np.zeros((len(split), len(split.labels)), np.float32)
    of_train_NK[rows] = rows_NK
    models_N = np.zeros(len(split), np.int64)
    models_N[rows] = 1
    teacher = Teacher(
        of_train_NK, split.labels, split.sha256, (run.version,), dev_MK=dev_MK, models_N=models_N if fold else None
    )
    teacher.save(job.out / TEACHER)
    thresholds = choose_thresholds(dev_MK, job.texts.dev, job.recipe.run.threshold)
    rates = dict(zip(split.labels, split.targets_NK.mean(axis=0, dtype=np.float64).tolist(), strict=True))
    return compute_figures(dev_MK, thresholds, job.texts.dev, shared_with=split, rare=find_rare_labels(rates))


def build_model(recipe: Recipe, labels: tuple[str, ...]) -> tuple[PretrainedEncoder, DistilBertCNN]:
    """Load the recipe's encoder, and build the model on it, with an untrained head or the one to continue.

    Raises:
        EncoderError: the encoder cannot be loaded.
        RecipeError: the encoder does not fit the recipe.
    """
    encoder, head = recipe.encoder, recipe.head
    start = load_encoder(encoder.name)
    if encoder.cache_frozen and (recipe.augmentation.emoji or recipe.augmentation.typos):
        raise RecipeError("encoder.cache_frozen = true: it keeps the texts as they are; set augmentation to 0")
    if recipe.augmentation.emoji:
        start = start.with_emoji()
    if start.only_teaches and encoder.cache_frozen:
        raise RecipeError(f"encoder.cache_frozen = true: encoder {encoder.name!r} cannot be cached")
    layers = start.settings["n_layers"]
    if (encoder.trainable_layers or 0) > layers:
        raise RecipeError(
            f"encoder.trainable_layers = {encoder.trainable_layers}: encoder {encoder.name!r} has {layers}"
        )
    torch.manual_seed(recipe.run.seed)  # the head's first weights are drawn here
    sizes = parse_kernel_sizes(head.kernel_sizes)
    attention = {"attention_heads": head.attention_heads} if head.attention_heads else {}
    try:
        model = start.grow(
            labels=labels,
            max_tokens=encoder.max_tokens,
            kernel_size=max(sizes),
            head_dropout=head.dropout,
            encoder_dropout=encoder.dropout,
            **attention,
        )
    except ValueError as error:  # a shape that no model can have
        raise RecipeError(f"encoder {encoder.name!r} does not fit the recipe: {error}") from error
    narrow_kernels(model, sizes)
    if head.continued:
        start.continue_head(model, head)
    return start, model
