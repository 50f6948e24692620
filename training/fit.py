"""One training run: a trunk and labelled texts in, a model and its dev figures out.

    tokens → length-bucketed batches → forward, loss, step → averaged weights → dev figures, every epoch

The weights of the epoch with the best mean average precision are kept: a figure that no threshold can flatter.
"""

import copy
import hashlib
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.distilbert_cnn import DistilBertCNN
from model.tokens import TokenIds, Tokens

from .batches import TokenBatches, bucketed_batches, by_length, rectangle
from .checkpoint import Checkpoint, Checkpoints, Interrupted, random_states, restore_random_states
from .data import Split
from .frozen import HiddenStates, Upper
from .loss import loss_of
from .metrics import report
from .passes import Passes, over_passes, several
from .precision import computing_in
from .progress import Progress
from .ranks import ALONE, Ranks
from .recipe import Recipe
from .recorded import RecordedSteps

CHECKPOINT_EVERY_S = 600
"""What a lost machine costs at most, where epochs take longer. A checkpoint has five times the weights' bytes."""

POSITION = ("epoch", "done", "losses")
MEASURED = ("best_epoch", "history", "texts", "training_s", "total_s")


@dataclass
class Run:
    """What a run leaves: the best weights so far, every epoch's figures, and how fast it was.

    Attributes:
        dev_MK: what the best weights say of dev; None where they were the best before the run was gone on with.
        texts: trained on so far, each once an epoch.
        training_s: spent in steps.
        total_s: spent in running frozen layers, in steps and in measuring, over all sittings of the run.
    """

    model: DistilBertCNN
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    dev_MK: npt.NDArray[np.float32] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    texts: int = 0
    training_s: float = 0.0
    total_s: float = 0.0

    @property
    def version(self) -> str:
        """Of the best weights, by which a model is known that no artifact holds."""
        digest = hashlib.sha256()
        for values in self.best.values():
            digest.update(values.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    @property
    def examples_per_s(self) -> float:
        """Texts a second, in training alone."""
        return self.texts / self.training_s if self.training_s else 0.0


def fit(
    model: DistilBertCNN,
    tokens: Tokens,
    train: Split,
    dev: Split,
    recipe: Recipe,
    *,
    progress: Progress,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> Run:
    """Train *model* in place; afterwards it carries the best epoch's weights.

    Args:
        recipe: with a precision that is no longer `auto`.
        checkpoints: where the state is kept: after every epoch, every ten minutes, and when asked to stop.
        resume: go on from the checkpoint; the result is that of a run never interrupted, bit for bit on a CPU.
        stop: asked after every step, and while frozen layers are run.
        ranks: the processes that train together, all of them in this function.

    Raises:
        Interrupted: *stop* said so.
        CheckpointError: there is none to resume, or it is another run's.
    """
    model.to(device)
    torch.manual_seed(recipe.seed + ranks.rank)
    train_ids, dev_ids = tokens(train.texts), tokens(dev.texts)
    lengths = [len(text.ids) for text in train_ids]
    state = State(model, recipe, steps_per_epoch=-(-len(train) // recipe.batch_size))
    run = state.run
    if resume and checkpoints is not None:
        state.restore(checkpoints.load(device), device, ranks)
    began = saved = time.monotonic()
    before_s = run.total_s

    def save() -> None:
        nonlocal saved
        run.total_s = before_s + time.monotonic() - began
        everything = state.checkpoint(device, ranks)
        if checkpoints is not None and ranks.leads:
            checkpoints.save(everything)
        saved = time.monotonic()

    def interrupted() -> Interrupted:
        save()
        return Interrupted(f"interrupted in epoch {state.epoch}, after step {state.done} of {state.steps}")

    first = frozen_layers(model, recipe)
    source: TokenBatches | HiddenStates
    plain: torch.nn.Module
    encoded: Callable[[Tensor, Tensor], Tensor]
    if recipe.cache_frozen:
        try:
            source = HiddenStates(
                model,
                train_ids,
                first,
                device,
                precision=recipe.precision,
                stop=lambda: bool(ranks.agree(0.0, stop())[1]),
            )
        except Interrupted:
            raise interrupted() from None
        upper = Upper(model, first)
        encoded, plain = upper.encoded, upper
    else:
        source = TokenBatches(
            train_ids,
            model.config,
            hidden=recipe.hidden_tokens,
            mask_id=tokens.id_of("[MASK]", "<mask>") if recipe.hidden_tokens else 0,
        )
        encoded, plain = model.trunk, model
    loss_of_batch = loss_of(recipe, torch.from_numpy(train.targets_NK).to(device))
    if several(recipe):
        plain, loss_of_batch = Passes(model, encoded, recipe), over_passes(loss_of_batch, r_drop=recipe.r_drop)
    forward = ranks.wrapped(plain, device)

    def descend(inputs: Tensor, mask_BL: Tensor, targets_BK: Tensor, weight: float = 1.0) -> Tensor:
        with computing_in(recipe.precision, device):
            logits = forward(inputs, mask_BL)
        return state.descend(loss_of_batch(logits.float(), targets_BK) * weight)

    recorded = RecordedSteps(descend, device) if device.type == "cuda" and ranks is ALONE else None
    while state.epoch <= recipe.epochs:
        model.train()
        rng = np.random.default_rng((recipe.seed, state.epoch))
        batches = bucketed_batches(lengths, batch_size=recipe.batch_size, rng=rng)
        for rows in itertools.islice(batches, len(state.losses), None):
            step_began = time.perf_counter()
            own = ranks.share(rows)
            inputs, mask_BL = source.batch(own, device)
            targets_BK = torch.from_numpy(train.targets_NK[own]).to(device)
            if recorded is not None:
                step = partial(recorded, inputs, mask_BL, targets_BK)
            else:
                step = partial(descend, inputs, mask_BL, targets_BK, ranks.weight(len(own), len(rows)))
            loss_of_step, stopped, overdue = ranks.agree(
                state.step(step), stop(), time.monotonic() - saved > CHECKPOINT_EVERY_S
            )
            state.losses.append(loss_of_step)
            run.texts += len(rows)
            run.training_s += time.perf_counter() - step_began
            progress.step(state.epoch, state.done, state.steps, state.losses[-1])
            if stopped:
                raise interrupted()
            if overdue:
                save()
        dev_MK = probabilities(state.averaged, dev_ids, device=device)
        figures: dict[str, Any] = {
            "epoch": state.epoch,
            "train_loss": round(float(np.mean(state.losses)), 5),
            **epoch_figures(dev_MK, dev),
        }
        state.end_epoch(figures, dev_MK)
        progress.epoch(figures["epoch"], state.done, figures)
        save()
    if ranks.agree(0.0, stop())[1]:  # asked while the last epoch was measured
        raise Interrupted("interrupted after the last epoch")
    model.load_state_dict(run.best)
    model.eval()
    return run


class State:
    """All that changes while a run trains, and nothing that does not."""

    def __init__(self, model: DistilBertCNN, recipe: Recipe, *, steps_per_epoch: int) -> None:
        self.run = Run(model)
        self.model = model
        self.epoch = 1
        self.losses: list[float] = []  # of the epoch's steps so far
        self.done = 0
        self.steps = steps_per_epoch * recipe.epochs
        self._recipe = recipe
        device = next(model.parameters()).device
        groups = parameter_groups(model, recipe)
        self._rates = [float(group["lr"]) for group in groups]
        if device.type == "cuda":  # where a recorded step finds them
            groups = [{**group, "lr": torch.tensor(group["lr"], device=device)} for group in groups]
        self._optimizer = torch.optim.AdamW(groups, fused=True, capturable=device.type == "cuda")
        self.averaged = copy.deepcopy(model).requires_grad_(requires_grad=False) if recipe.ema else model

    def step(self, descend: Callable[[], Tensor]) -> float:
        """Set the rates, let *descend* move the weights, and move their average; the loss as a number."""
        factor = rate_at(self.done, self.steps, self._recipe)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * factor)
            else:
                group["lr"] = rate * factor
        loss = descend()
        self.done += 1
        if self._recipe.ema:
            # A short memory at first, or the untrained head would weigh on the average for an epoch.
            average(self.averaged, self.model, decay=min(self._recipe.ema, self.done / (self.done + 10)))
        return loss.item()

    def descend(self, loss: Tensor) -> Tensor:
        """Move the weights by what makes *loss* smaller; the loss without what it was computed from."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        return loss.detach()

    def end_epoch(self, figures: dict[str, Any], dev_MK: npt.NDArray[np.float32]) -> None:
        """Keep the epoch's figures, and its weights where they are the best so far."""
        run = self.run
        run.history.append(figures)
        if figures["mean_average_precision"] >= max(past["mean_average_precision"] for past in run.history):
            run.best_epoch = self.epoch
            run.dev_MK = dev_MK
            run.best = {name: tensor.detach().cpu().clone() for name, tensor in self.averaged.state_dict().items()}
        self.epoch += 1
        self.losses = []

    def checkpoint(self, device: torch.device, ranks: Ranks) -> Checkpoint:
        """Everything, as it is now. All processes have to ask."""
        run = self.run
        position = {
            **{name: getattr(self, name) for name in POSITION},
            **{name: getattr(run, name) for name in MEASURED},
        }
        tensors = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self._recipe.ema else {},
            "optimizer": self._optimizer.state_dict(),
            "best": run.best,
            "random_states": ranks.gathered(random_states(device)),
        }
        return Checkpoint(position, tensors)

    def restore(self, checkpoint: Checkpoint, device: torch.device, ranks: Ranks) -> None:
        """Be as the run was that wrote *checkpoint*."""
        tensors = checkpoint.tensors
        self.model.load_state_dict(tensors["model"])
        if self._recipe.ema:
            self.averaged.load_state_dict(tensors["averaged"])
        self._optimizer.load_state_dict(tensors["optimizer"])
        for name in POSITION:
            setattr(self, name, checkpoint.position[name])
        for name in MEASURED:
            setattr(self.run, name, checkpoint.position[name])
        self.run.best = {name: tensor.cpu() for name, tensor in tensors["best"].items()}
        restore_random_states(tensors["random_states"][ranks.rank], device)


def parameter_groups(model: DistilBertCNN, recipe: Recipe) -> list[dict[str, Any]]:
    """Optimiser groups, one for each rate and decay: a GPU takes one step for each. What does not learn is frozen."""
    layers, first = model.config.n_layers, frozen_layers(model, recipe)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if name.startswith("trunk.embeddings."):
            depth, learns = layers, recipe.trainable_layers is None
        elif name.startswith("trunk.transformer.layer."):
            layer = int(name.split(".")[3])
            depth, learns = layers - 1 - layer, layer >= first
        else:
            depth, learns = -1, True
        parameter.requires_grad_(learns)
        if not learns:
            continue
        rate = recipe.head_learning_rate if depth < 0 else recipe.learning_rate * recipe.layer_decay**depth
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def frozen_layers(model: DistilBertCNN, recipe: Recipe) -> int:
    """How many of the trunk's first layers do not learn."""
    learning = recipe.trainable_layers
    return 0 if learning is None else max(0, model.config.n_layers - learning)


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate's factor: a linear rise over the warm-up, then half a cosine."""
    warmup = recipe.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.per_epoch_cosine:
        per_epoch = steps / recipe.epochs
        return 0.5 * (1 + math.cos(math.pi * math.floor(step / per_epoch) / recipe.epochs))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


@torch.no_grad()
def average(averaged: DistilBertCNN, model: DistilBertCNN, *, decay: float) -> None:
    """Move *averaged* toward *model* by 1 - decay."""
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)


@torch.inference_mode()
def probabilities(model: DistilBertCNN, texts: Sequence[TokenIds], *, device: torch.device) -> npt.NDArray[np.float32]:
    """The reference forward over many texts, in float32: probabilities [N, K], in order."""
    model.eval()
    result_NK = np.empty((len(texts), len(model.config.labels)), dtype=np.float32)
    for rows in by_length(texts):
        ids_BL, mask_BL = rectangle([texts[row] for row in rows], model.config, device=device)
        result_NK[rows] = torch.sigmoid(model(ids_BL, mask_BL)).cpu().numpy()
    return result_NK


def epoch_figures(probabilities_NK: npt.NDArray[np.float32], dev: Split) -> dict[str, float]:
    """The handful of figures shown after each epoch."""
    full = report(probabilities_NK, dev.targets_NK, [0.5] * len(dev.labels), dev.labels)
    return {
        "macro_f1_cross_fitted": full["macro_f1_cross_fitted"],
        "macro_f1_at_0.3": full["at_0.3"]["macro_f1"],
        "macro_f1_at_0.51": full["at_0.51"]["macro_f1"],
        "mcc_flattened_at_0.51": full["at_0.51"]["mcc_flattened"],
        "roc_auc": full["roc_auc"],
        "mean_average_precision": full["mean_average_precision"],
    }
