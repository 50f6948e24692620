"""The number format of forward and backward passes; weights and losses stay fp32."""

import torch

from model.torch_engine import DTYPES


def computing_in(precision: str, device: torch.device) -> torch.autocast:
    """A context in which matrices are multiplied in *precision*: `fp32`, which changes nothing, or `bf16`."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")
