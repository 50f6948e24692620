"""The training loop: an untrained model and tokenized texts in, a trained model and its dev figures out.

    prepare → for each epoch: train on length-bucketed batches → measure on dev → keep the weights if they are best

The run keeps the weights of the epoch with the best mean average precision, which does not depend on thresholds.
"""

import itertools
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.forward import compute_probabilities
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.errors import Interrupted, RecipeError
from emotag_training.evaluation.metrics import compute_metrics
from emotag_training.recipe import Recipe

from .batches import TokenBatches, draw_batches
from .checkpoint import Checkpoints
from .cuda_graphs import RecordedSteps
from .distributed import ALONE, Ranks
from .frozen_layers import HiddenStates, Upper
from .loss import build_loss
from .optimizer import count_frozen_layers
from .precision import autocast
from .state import Run, State
from .trackers import Progress

CHECKPOINT_EVERY_S = 600
"""If epochs take longer than this, a lost machine costs at most this much work. A checkpoint is five times as
large as the weights."""


def fit(
    model: DistilBertCNN,
    train: TokenizedSplit,
    dev: TokenizedSplit,
    recipe: Recipe,
    *,
    progress: Progress,
    device: torch.device,
    mask_id: int = 0,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    augment: Callable[[int], TokenizedSplit] | None = None,
) -> Run:
    """Train *model* in place; afterwards it has the weights of the best epoch.

    Args:
        recipe: with a precision other than `auto`.
        mask_id: the token that replaces a masked one.
        checkpoints: stores the state after every epoch, every ten minutes, and when *stop* returns True.
        resume: continue from the checkpoint; the result equals that of an uninterrupted run, bit for bit on a CPU.
        stop: called after every batch, and while frozen layers are run.
        ranks: the processes that train together; all of them call this function.
        augment: returns the texts of an epoch, as many as *train* has. None: every epoch has *train*.

    Raises:
        Interrupted: *stop* returned True.
        CheckpointError: there is no checkpoint to resume from, or it belongs to another run.
    """
    model.to(device)
    torch.manual_seed(recipe.run.seed + ranks.rank)
    loop = _Loop(
        model,
        train,
        dev,
        recipe,
        progress=progress,
        device=device,
        checkpoints=checkpoints,
        stop=stop,
        ranks=ranks,
        augment=augment,
        mask_id=mask_id,
    )
    if resume and checkpoints is not None:
        loop.state.restore(checkpoints.load(device), device, ranks)
    loop.prepare()
    while loop.state.epoch <= recipe.schedule.epochs:
        loop.train_epoch()
        loop.measure_epoch()
        loop.save()
    return loop.finish()


class _Loop:
    """One run, with the parts that every epoch uses."""

    def __init__(
        self,
        model: DistilBertCNN,
        train: TokenizedSplit,
        dev: TokenizedSplit,
        recipe: Recipe,
        *,
        progress: Progress,
        device: torch.device,
        checkpoints: Checkpoints | None,
        stop: Callable[[], bool],
        ranks: Ranks,
        augment: Callable[[int], TokenizedSplit] | None,
        mask_id: int,
    ) -> None:
        self._augment, self._mask_id = augment, mask_id
        self._model, self._train, self._dev, self._recipe = model, train, dev, recipe
        self._progress, self._device, self._checkpoints = progress, device, checkpoints
        self._stop, self._ranks = stop, ranks
        steps = -(-len(train) // recipe.schedule.batch_size)
        self.state = State(model, recipe.encoder, recipe.schedule, steps_per_epoch=steps)
        self._loss = build_loss(recipe.loss, torch.from_numpy(train.split.targets_NK).to(device))

    def prepare(self) -> None:
        """Start the clock, run frozen layers if the recipe caches them, and set up the forward pass.

        Raises:
            Interrupted: on request, while frozen layers were run.
        """
        self._began = self._saved = time.monotonic()
        self._before_s = self.state.run.total_s
        encoder = self._recipe.encoder
        plain: nn.Module = self._model
        self._source: TokenBatches | HiddenStates
        if encoder.cache_frozen:
            first = count_frozen_layers(self._model, encoder)
            self._source = self._run_frozen_layers(first)
            plain = Upper(self._model, first)
        else:
            self._source = self._read_tokens()
        self._forward = self._ranks.wrap(plain, self._device)
        alone_on_gpu = self._device.type == "cuda" and self._ranks is ALONE
        self._recorded = RecordedSteps(self._descend, self._device) if alone_on_gpu else None

    def train_epoch(self) -> None:
        """Train on the rest of the epoch's batches.

        Raises:
            Interrupted: on request; the checkpoint was written.
        """
        state, seed = self.state, self._recipe.run.seed
        self._model.train()
        if self._augment is not None:
            self._train = self._augment(state.epoch)
            self._source = self._read_tokens()
        rng = np.random.default_rng((seed, state.epoch))
        lengths = [len(text.ids) for text in self._train.token_ids]
        batches = draw_batches(lengths, batch_size=self._recipe.schedule.batch_size, rng=rng)
        for rows in itertools.islice(batches, len(state.losses), None):
            began = time.perf_counter()
            loss, stopped, overdue = self._ranks.agree(
                state.step(self._prepare_step(rows)),
                self._stop(),
                time.monotonic() - self._saved > CHECKPOINT_EVERY_S,
            )
            if not math.isfinite(loss):
                raise self._explain_lost_weights()
            state.losses.append(loss)
            state.run.texts += len(rows)
            state.run.training_s += time.perf_counter() - began
            self._progress.step(state.epoch, state.done, state.steps, loss)
            if stopped:
                raise self._interrupt()
            if overdue:
                self.save()

    def _explain_lost_weights(self) -> RecipeError:
        rate = self._recipe.schedule.learning_rate
        return RecipeError(
            f"the weights are not finite numbers any more after step {self.state.done}; mostly, a learning rate is too"
            f" high: lower schedule.learning_rate ({rate:g}) or schedule.head_learning_rate, and train again"
        )

    def measure_epoch(self) -> None:
        """Measure the averaged weights on dev, and keep them if they are the best so far."""
        state = self.state
        dev_MK = compute_probabilities(state.averaged, self._dev.token_ids, device=self._device)
        if not np.isfinite(dev_MK).all():
            raise self._explain_lost_weights()
        figures: dict[str, Any] = {
            "epoch": state.epoch,
            "train_loss": round(float(np.mean(state.losses)), 5),
            **compute_epoch_figures(dev_MK, self._dev.split),
        }
        state.end_epoch(figures)
        self._progress.epoch(figures["epoch"], state.done, figures)

    def save(self) -> None:
        """Write a checkpoint. Every process must call this at the same time; the first one writes."""
        self.state.run.total_s = self._before_s + time.monotonic() - self._began
        checkpoint = self.state.checkpoint(self._device, self._ranks)
        if self._checkpoints is not None and self._ranks.leads:
            self._checkpoints.save(checkpoint)
        self._saved = time.monotonic()

    def finish(self) -> Run:
        """Load the best weights into the model.

        Raises:
            Interrupted: on request, while the last epoch was measured.
        """
        if self._ranks.agree(0.0, self._stop())[1]:
            raise Interrupted("interrupted after the last epoch")
        self._model.load_state_dict(self.state.run.best)
        self._model.eval()
        return self.state.run

    def _prepare_step(self, rows: npt.NDArray[np.int64]) -> Callable[[], Tensor]:
        """Return a function that trains on this process's share of a batch and returns the loss."""
        own = self._ranks.share(rows)
        inputs, mask_BL = self._source.batch(own, self._device)
        targets_BK = torch.from_numpy(self._train.split.targets_NK[own]).to(self._device)
        if self._recorded is not None:
            return partial(self._recorded, inputs, mask_BL, targets_BK)
        return partial(self._descend, inputs, mask_BL, targets_BK, self._ranks.weight(len(own), len(rows)))

    def _descend(self, inputs: Tensor, mask_BL: Tensor, targets_BK: Tensor, weight: float = 1.0) -> Tensor:
        with autocast(self._recipe.run.precision, self._device):
            logits_BK = self._forward(inputs, mask_BL)
        return self.state.descend(self._loss(logits_BK.float(), targets_BK) * weight)

    def _read_tokens(self) -> TokenBatches:
        masked = self._recipe.encoder.token_masking
        return TokenBatches(self._train.token_ids, self._model.config, masked=masked, mask_id=self._mask_id)

    def _run_frozen_layers(self, first: int) -> HiddenStates:
        def stop() -> bool:
            return bool(self._ranks.agree(0.0, self._stop())[1])

        precision = self._recipe.run.precision
        try:
            return HiddenStates(self._model, self._train.token_ids, first, self._device, precision=precision, stop=stop)
        except Interrupted:
            raise self._interrupt() from None

    def _interrupt(self) -> Interrupted:
        self.save()
        state = self.state
        return Interrupted(f"interrupted in epoch {state.epoch}, after step {state.done} of {state.steps}")


def compute_epoch_figures(probabilities_NK: npt.NDArray[np.float32], dev: Split) -> dict[str, float]:
    """Return the few figures that are shown after each epoch."""
    full = compute_metrics(probabilities_NK, dev.targets_NK, [0.5] * len(dev.labels), dev.labels)
    return {
        "macro_f1_cross_validated": full["macro_f1_cross_validated"],
        "macro_f1_at_0.3": full["at_0.3"]["macro_f1"],
        "macro_f1_at_0.51": full["at_0.51"]["macro_f1"],
        "mcc_micro_at_0.51": full["at_0.51"]["mcc_micro"],
        "roc_auc": full["roc_auc"],
        "mean_average_precision": full["mean_average_precision"],
    }
