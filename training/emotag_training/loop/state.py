"""The state of a run: weights, optimiser and figures while it trains, in a checkpoint, and as its result."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.recipe import EncoderSection, ScheduleSection

from .checkpoint import Checkpoint, read_random_states, restore_random_states
from .distributed import Ranks
from .optimizer import average_weights, compute_rate_factor, group_parameters

POSITION = ("epoch", "done", "losses")
MEASURED = ("best_epoch", "history", "texts", "training_s", "total_s")


@dataclass
class Run:
    """The result of a run: the best weights so far, every epoch's figures, and the speed.

    Attributes:
        texts: the number of texts trained on so far, each counted once per epoch.
        training_s: time spent in training steps.
        total_s: time spent in frozen layers, in training steps and in measuring, before and after interruptions.
    """

    model: DistilBertCNN
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    texts: int = 0
    training_s: float = 0.0
    total_s: float = 0.0

    @property
    def version(self) -> str:
        """The hash of the best weights: the version of a model that no artifact stores."""
        digest = hashlib.sha256()
        for values in self.best.values():
            digest.update(values.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    @property
    def examples_per_s(self) -> float:
        """Texts per second, in training alone."""
        return self.texts / self.training_s if self.training_s else 0.0


class State:
    """Everything that changes while a run trains."""

    def __init__(
        self, model: DistilBertCNN, encoder: EncoderSection, schedule: ScheduleSection, *, steps_per_epoch: int
    ) -> None:
        self.run = Run(model)
        self.model = model
        self.epoch = 1
        self.losses: list[float] = []  # one per batch of the epoch so far
        self.done = 0
        self.steps = steps_per_epoch * schedule.epochs
        self._schedule = schedule
        device = next(model.parameters()).device
        groups = group_parameters(model, encoder, schedule)
        self._rates = [float(group["lr"]) for group in groups]
        if device.type == "cuda":  # a recorded step reads its rate from the device
            groups = [{**group, "lr": torch.tensor(group["lr"], device=device)} for group in groups]
        self._optimizer = torch.optim.AdamW(groups, fused=True, capturable=device.type == "cuda")
        self.averaged = copy.deepcopy(model).requires_grad_(requires_grad=False) if schedule.ema else model

    def step(self, descend: Callable[[], Tensor]) -> float:
        """Set the rates, let *descend* move the weights, move their average, and return the loss."""
        factor = compute_rate_factor(self.done, self.steps, self._schedule)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * factor)
            else:
                group["lr"] = rate * factor
        loss = descend()
        self.done += 1
        if self._schedule.ema:
            # A short memory at first: otherwise the untrained head would dominate the average for an epoch.
            average_weights(self.averaged, self.model, decay=min(self._schedule.ema, self.done / (self.done + 10)))
        return loss.item()

    def descend(self, loss: Tensor) -> Tensor:
        """Move the weights down the gradient of *loss*; return the loss without its graph."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        return loss.detach()

    def end_epoch(self, figures: dict[str, Any]) -> None:
        """Record the epoch's figures, and its weights if they are the best so far."""
        run = self.run
        run.history.append(figures)
        if figures["mean_average_precision"] >= max(past["mean_average_precision"] for past in run.history):
            run.best_epoch = self.epoch
            run.best = {name: tensor.detach().cpu().clone() for name, tensor in self.averaged.state_dict().items()}
        self.epoch += 1
        self.losses = []

    def checkpoint(self, device: torch.device, ranks: Ranks) -> Checkpoint:
        """Return the whole state. Every process must call this at the same time."""
        run = self.run
        position = {
            **{name: getattr(self, name) for name in POSITION},
            **{name: getattr(run, name) for name in MEASURED},
        }
        tensors = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self._schedule.ema else {},
            "optimizer": self._optimizer.state_dict(),
            "best": run.best,
            "random_states": ranks.gather(read_random_states(device)),
        }
        return Checkpoint(position, tensors)

    def restore(self, checkpoint: Checkpoint, device: torch.device, ranks: Ranks) -> None:
        """Return to the state that *checkpoint* holds."""
        tensors = checkpoint.tensors
        self.model.load_state_dict(tensors["model"])
        if self._schedule.ema:
            self.averaged.load_state_dict(tensors["averaged"])
        self._optimizer.load_state_dict(tensors["optimizer"])
        for name in POSITION:
            setattr(self, name, checkpoint.position[name])
        for name in MEASURED:
            setattr(self.run, name, checkpoint.position[name])
        self.run.best = {name: tensor.cpu() for name, tensor in tensors["best"].items()}
        restore_random_states(tensors["random_states"][ranks.rank], device)
