"""Attention within each text of a packed batch: by one kernel where the device has it, else by groups of one length."""

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .packing import Ints, Packed

Attention = Callable[[Tensor], Tensor]
"""From queries, keys and values [T, 3, H, D] of a batch to the context [T, H, D] of each token."""

Varlen = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, int], Tensor]
"""Queries, keys and values [T, H, D]; twice the bounds of the texts, N + 1 of them for N texts; twice the longest."""

Group = tuple[int, int, int]
"""First token, texts, tokens a text: of texts of one length side by side."""

PROBE_LENGTHS = (3, 5)
PROBE_TOLERANCE = 2e-2
"""Between two kernels in half precision, of values about 1: bf16 rounds in the third decimal."""


def equal_lengths(batch: Packed) -> list[Group]:
    """Each run of texts of one length."""
    lengths = batch.lengths_B
    bounds = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(lengths)]
    groups, start = [], 0
    for first, last in pairwise(bounds):
        length = int(lengths[first])
        groups.append((start, last - first, length))
        start += (last - first) * length
    return groups


def by_group(groups: list[Group]) -> Attention:
    """Texts of one length at a time: a view [n, l, …] of the row, which needs no mask."""

    def attend(qkv_T3HD: Tensor) -> Tensor:
        context_THD = torch.zeros_like(qkv_T3HD[:, 0])  # the filling stays zero
        for start, n, length in groups:
            rows = slice(start, start + n * length)
            q, k, v = qkv_T3HD[rows].view(n, length, *qkv_T3HD.shape[1:]).permute(2, 0, 3, 1, 4)
            context_NHLD = F.scaled_dot_product_attention(q, k, v)
            context_THD[rows] = context_NHLD.transpose(1, 2).flatten(0, 1)
        return context_THD

    return attend


def by_text(kernel: Varlen, batch: Packed, sent: Callable[[Ints], Tensor]) -> Attention:
    """All texts at once; the filling is a text of its own.

    Args:
        sent: brings an array to the device.
    """
    tokens = int(batch.lengths_B.sum())
    filling = len(batch.ids_T) - tokens
    bounds = np.concatenate([batch.starts_B, [tokens], [tokens + filling] if filling else []]).astype(np.int32)
    longest = max(int(batch.lengths_B.max()), filling)
    bounds_N = sent(bounds)

    def attend(qkv_T3HD: Tensor) -> Tensor:
        q, k, v = qkv_T3HD.unbind(1)
        return kernel(q, k, v, bounds_N, bounds_N, longest, longest)

    return attend


def varlen_kernel(device: str, dtype: torch.dtype, heads: int, head_size: int) -> Varlen | None:
    """torch's kernel for texts of any length, where this torch has one that gives the right answer on this device.

    It is younger than the rest of torch, wants half precision, and does not know every GPU: so it is tried.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn

        kernel = cast("Varlen", varlen_attn)
        lengths = np.array(PROBE_LENGTHS, np.int32)
        tokens = np.zeros(sum(PROBE_LENGTHS), np.int32)
        batch = Packed(tokens, tokens, lengths)
        qkv_T3HD = torch.randn(len(tokens), 3, heads, head_size, device=device).to(dtype)
        found_THD = by_text(kernel, batch, lambda values: torch.from_numpy(values).to(device))(qkv_T3HD)
        expected_THD = by_group(equal_lengths(batch))(qkv_T3HD)
        right = torch.allclose(found_THD.float(), expected_THD.float(), rtol=0.0, atol=PROBE_TOLERANCE)
    except (ImportError, RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
    return kernel if right else None
