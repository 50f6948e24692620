"""The number format of forward and backward passes, and the measurement that chooses it.

Weights and losses stay fp32.
"""

import math
import time

import torch

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.torch_engine import DTYPES

FAR_BEHIND = 2.0


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return a context that multiplies matrices in *precision*: `fp32`, which changes nothing, or `bf16`."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")


def measure_fastest_precision(model: DistilBertCNN, device: torch.device, *, repeats: int = 3) -> str:
    """Return the faster of fp32 and bf16 for a training pass on this machine; takes some seconds on a CPU.

    A processor without bf16 instructions can be twenty times slower in bf16, so a format that is far behind is
    measured only once.
    """
    ids_BL = torch.full((8, 24), model.config.vocab_size - 1, device=device)
    mask_BL = torch.ones(ids_BL.shape, dtype=torch.bool, device=device)
    best_s = {"fp32": math.inf, "bf16": math.inf}
    for repeat in range(repeats + 1):
        for name, past_s in best_s.items():
            began = time.perf_counter()
            with autocast(name, device):
                loss = model(ids_BL, mask_BL).sum()
            loss.backward()
            loss.item()  # waits for a GPU
            if repeat:  # the first pass compiles kernels
                best_s[name] = min(past_s, time.perf_counter() - began)
        if repeat and max(best_s.values()) > FAR_BEHIND * min(best_s.values()):
            break
    model.zero_grad(set_to_none=True)
    return min(best_s, key=best_s.__getitem__)
