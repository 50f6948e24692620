"""Learning rates and parameter groups, and the moving average of the weights."""

import math
from typing import Any

import torch

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.recipe import EncoderSection, ScheduleSection


def group_parameters(model: DistilBertCNN, encoder: EncoderSection, schedule: ScheduleSection) -> list[dict[str, Any]]:
    """Return optimiser groups, one for each rate and decay, and freeze every parameter that is in no group.

    Few groups are fast, because a GPU updates one group after the other.
    """
    layers, first = model.config.n_layers, count_frozen_layers(model, encoder)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.embeddings."):
            depth, learns = layers, encoder.trainable_layers is None
        elif name.startswith("encoder.transformer.layer."):
            layer = int(name.split(".")[3])
            depth, learns = layers - 1 - layer, layer >= first
        else:
            depth, learns = -1, True
        parameter.requires_grad_(learns)
        if not learns:
            continue
        rate = schedule.head_learning_rate if depth < 0 else schedule.learning_rate * schedule.layer_decay**depth
        decay = schedule.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def count_frozen_layers(model: DistilBertCNN, encoder: EncoderSection) -> int:
    """Return how many of the encoder's first layers are frozen."""
    learning = encoder.trainable_layers
    return 0 if learning is None else max(0, model.config.n_layers - learning)


def compute_rate_factor(step: int, steps: int, schedule: ScheduleSection) -> float:
    """Return the learning rate's factor after *step* of *steps*: a linear rise over the warm-up, then half a cosine."""
    warmup = schedule.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.per_epoch_cosine:
        per_epoch = steps / schedule.epochs
        return 0.5 * (1 + math.cos(math.pi * math.floor(step / per_epoch) / schedule.epochs))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


@torch.no_grad()
def average_weights(averaged: DistilBertCNN, model: DistilBertCNN, *, decay: float) -> None:
    """Move *averaged* toward *model* by 1 - decay."""
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)
