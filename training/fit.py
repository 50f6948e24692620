"""One training run: a trunk and labelled texts in, a model and its dev figures out.

    tokens → length-bucketed batches → forward, loss, step → averaged weights → dev figures, every epoch

The weights of the epoch with the best mean average precision are kept: a figure that no threshold can flatter.
"""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.distilbert_cnn import DistilBertCNN
from model.tokens import TokenIds, Tokens, pad
from model.torch_engine import DTYPES

from .data import Split, bucketed_batches
from .metrics import report
from .recipe import Recipe

EVALUATION_BATCH = 64


class Progress(Protocol):
    """What watches a run: told of every step and every epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, epoch: int, figures: dict[str, Any]) -> None: ...


@dataclass
class Run:
    """What a run leaves: the best weights so far, and every epoch's figures."""

    model: DistilBertCNN
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def fit(
    model: DistilBertCNN,
    tokens: Tokens,
    train: Split,
    dev: Split,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
    device: torch.device,
    precision: str = "auto",
) -> Run:
    """Train *model* in place; afterwards it carries the best epoch's weights.

    Args:
        precision: of the forward and backward pass (weights stay fp32): `auto` measures, `fp32`, `bf16`.

    Raises:
        KeyError: the precision is unknown.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train_ids, dev_ids = tokens(train.texts), tokens(dev.texts)
    lengths = [len(text.ids) for text in train_ids]
    mask_id = tokens.id_of("[MASK]") if recipe.hidden_tokens else 0
    model.to(device)
    dtype = DTYPES[fastest_precision(model, device) if precision == "auto" else precision]
    groups = list(parameter_groups(model, recipe))
    optimizer = torch.optim.AdamW(groups, fused=True)
    steps = -(-len(train) // recipe.batch_size) * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps, recipe))
    averaged = copy.deepcopy(model).requires_grad_(requires_grad=False) if recipe.ema else model
    loss_of = nn.BCEWithLogitsLoss()
    run = Run(model)
    done = 0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        losses = []
        for rows in bucketed_batches(lengths, batch_size=recipe.batch_size, rng=rng):
            ids_BL, mask_BL = rectangle([train_ids[row] for row in rows], model, device)
            if recipe.hidden_tokens:
                ids_BL = hide(ids_BL, mask_BL, share=recipe.hidden_tokens, mask_id=mask_id)
            targets_BK = torch.from_numpy(train.targets_NK[rows]).to(device)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
                logits_BK = model(ids_BL, mask_BL)
            loss = loss_of(logits_BK.float(), targets_BK)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            if recipe.ema:
                # A short memory at first, or the untrained head would weigh on the average for an epoch.
                average(averaged, model, decay=min(recipe.ema, done / (done + 10)))
            losses.append(loss.item())
            progress.step(epoch, done, steps, losses[-1])
        probabilities_NK = probabilities(averaged, dev_ids, device=device)
        figures = {
            "epoch": epoch,
            "train_loss": round(float(np.mean(losses)), 5),
            **epoch_figures(probabilities_NK, dev),
        }
        run.history.append(figures)
        progress.epoch(epoch, figures)
        if figures["mean_average_precision"] >= max(past["mean_average_precision"] for past in run.history):
            run.best_epoch = epoch
            run.best = {name: tensor.detach().cpu().clone() for name, tensor in averaged.state_dict().items()}
    model.load_state_dict(run.best)
    model.eval()
    return run


def fastest_precision(model: DistilBertCNN, device: torch.device, *, repeats: int = 3) -> str:
    """fp32 or bf16, whichever takes a training step sooner here: measured, some seconds on a CPU."""
    ids_BL = torch.full((32, 24), model.config.vocab_size - 1, device=device)
    mask_BL = torch.ones(ids_BL.shape, dtype=torch.bool, device=device)
    best_s = {"fp32": math.inf, "bf16": math.inf}
    for repeat in range(repeats + 1):
        for name, past_s in best_s.items():
            began = time.perf_counter()
            with torch.autocast(device.type, dtype=DTYPES[name], enabled=name != "fp32"):
                loss = model(ids_BL, mask_BL).sum()
            loss.backward()
            loss.item()  # waits for a GPU
            if repeat:  # the first one compiles kernels
                best_s[name] = min(past_s, time.perf_counter() - began)
    model.zero_grad(set_to_none=True)
    return min(best_s, key=best_s.__getitem__)


def parameter_groups(model: DistilBertCNN, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """One optimiser group per parameter that learns, with its own rate; the others are frozen here."""
    layers = model.config.n_layers
    first = 0 if recipe.trainable_layers is None else layers - recipe.trainable_layers
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
        yield {
            "params": [parameter],
            "lr": recipe.head_learning_rate if depth < 0 else recipe.learning_rate * recipe.layer_decay**depth,
            "weight_decay": recipe.weight_decay if parameter.ndim > 1 else 0.0,
        }


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


def rectangle(texts: Sequence[TokenIds], model: DistilBertCNN, device: torch.device) -> tuple[Tensor, Tensor]:
    """ids_BL and mask_BL of some texts, on the device, the width a multiple of eight: kernels compile per shape."""
    ids_BL, mask_BL = pad([text.ids for text in texts], pad_id=model.config.pad_token_id, round_to=8)
    return torch.from_numpy(ids_BL).to(device), torch.from_numpy(mask_BL).to(device)


def hide(ids_BL: Tensor, mask_BL: Tensor, *, share: float, mask_id: int) -> Tensor:
    """ids_BL with a random *share* of the words' tokens replaced; each text's first and last token stay."""
    inner_BL = mask_BL & torch.roll(mask_BL, -1, dims=1)  # the last real token has padding, or the first one, after it
    inner_BL[:, 0] = inner_BL[:, -1] = False
    hidden_BL = inner_BL & (torch.rand(ids_BL.shape, device=ids_BL.device) < share)
    return torch.where(hidden_BL, mask_id, ids_BL)


@torch.inference_mode()
def probabilities(model: DistilBertCNN, texts: Sequence[TokenIds], *, device: torch.device) -> npt.NDArray[np.float32]:
    """The reference forward over many texts, in float32: probabilities [N, K], in order."""
    model.eval()
    result_NK = np.empty((len(texts), len(model.config.labels)), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
    for start in range(0, len(order), EVALUATION_BATCH):
        rows = order[start : start + EVALUATION_BATCH]
        ids_BL, mask_BL = rectangle([texts[row] for row in rows], model, device)
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
