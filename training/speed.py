"""How fast training steps are here: which precision is the faster one, and what is won over the original's way."""

import copy
import itertools
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor

from model.distilbert_cnn import DistilBertCNN
from model.tokens import TokenIds

from .batches import ROUND_TO, bucketed_batches, rectangle
from .fit import State
from .precision import computing_in
from .recipe import Recipe
from .recorded import RecordedSteps, Step

ORIGINAL_WIDTH = 128
BATCHES = 3
FAR_BEHIND = 2.0
TO_SETTLE = 2
"""Steps of a shape before one is timed: on a GPU the first is computed as it is, and the second recorded."""


def fastest_precision(model: DistilBertCNN, device: torch.device, *, repeats: int = 3) -> str:
    """fp32 or bf16, whichever takes a training step sooner here: measured, some seconds on a CPU.

    A processor without instructions for bf16 may take twenty times as long in it: what is far behind is asked once.
    """
    ids_BL = torch.full((8, 24), model.config.vocab_size - 1, device=device)
    mask_BL = torch.ones(ids_BL.shape, dtype=torch.bool, device=device)
    best_s = {"fp32": math.inf, "bf16": math.inf}
    for repeat in range(repeats + 1):
        for name, past_s in best_s.items():
            began = time.perf_counter()
            with computing_in(name, device):
                loss = model(ids_BL, mask_BL).sum()
            loss.backward()
            loss.item()  # waits for a GPU
            if repeat:  # the first one compiles kernels
                best_s[name] = min(past_s, time.perf_counter() - began)
        if repeat and max(best_s.values()) > FAR_BEHIND * min(best_s.values()):
            break
    model.zero_grad(set_to_none=True)
    return min(best_s, key=best_s.__getitem__)


def times_the_original(
    model: DistilBertCNN, texts: Sequence[TokenIds], recipe: Recipe, device: torch.device
) -> float | None:
    """How many times faster a recipe's steps are than the same steps the original's way: padded to 128, in fp32.

    Whole steps, optimiser and averaging included, on some batches of the recipe's own, the two ways in turns. Each
    computes a text once: what R-drop and multi-sample dropout cost is left out of both.

    Args:
        model: is left as it is.
        texts: a sample of the training texts, at least a batch of them.

    Returns:
        The ratio of the two ways' sums of times; None where the model's window is shorter than 128, where frozen layers
        are cached, so that the run's steps are shorter than those, and where a GPU has no room for the original's.
    """
    if recipe.max_tokens < ORIGINAL_WIDTH or recipe.cache_frozen:
        return None
    try:
        return _times_the_original(model, texts, recipe, device)
    except torch.OutOfMemoryError:
        return None


def _times_the_original(model: DistilBertCNN, texts: Sequence[TokenIds], recipe: Recipe, device: torch.device) -> float:
    trial = State(copy.deepcopy(model).to(device), recipe, steps_per_epoch=1)
    lengths = [len(text.ids) for text in texts]
    drawn = bucketed_batches(lengths, batch_size=recipe.batch_size, rng=np.random.default_rng(recipe.seed))
    batches = [[texts[row] for row in rows] for rows in itertools.islice(drawn, BATCHES)]

    def way(precision: str) -> Step:
        def descend(ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
            with computing_in(precision, device):
                logits_BK: Tensor = trial.model(ids_BL, mask_BL)
            return trial.descend(F.binary_cross_entropy_with_logits(logits_BK.float(), torch.zeros_like(logits_BK)))

        return RecordedSteps(descend, device) if device.type == "cuda" else descend

    def step_s(batch: list[TokenIds], way: Step, *, round_to: int) -> float:
        began = time.perf_counter()
        ids_BL, mask_BL = rectangle(batch, model.config, device=device, round_to=round_to)
        trial.step(lambda: way(ids_BL, mask_BL))  # waits for it
        return time.perf_counter() - began

    own, original = way(recipe.precision), way("fp32")
    for _ in range(TO_SETTLE):  # kernels of the original's one shape are compiled, its steps are recorded
        step_s(batches[0], original, round_to=ORIGINAL_WIDTH)
    own_s = original_s = 0.0
    for batch in batches:
        for _ in range(TO_SETTLE):
            step_s(batch, own, round_to=ROUND_TO)
        own_s += step_s(batch, own, round_to=ROUND_TO)
        original_s += step_s(batch, original, round_to=ORIGINAL_WIDTH)
    return original_s / own_s
