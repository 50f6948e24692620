"""Attention within each text of a packed batch: by one kernel if the device has it, or by groups of equal length."""

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .packing import Ints, Packed

Attention = Callable[[Tensor], Tensor]
"""A function from a batch's queries, keys and values [T, 3, H, D] to the context [T, H, D] of each token."""

Varlen = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, int], Tensor]
"""A kernel. Takes queries, keys and values [T, H, D], twice the B + 1 bounds of the texts, twice the longest length."""

Group = tuple[int, int, int]
"""Adjacent texts of equal length: first token, number of texts, tokens per text."""

PROBE_LENGTHS = (3, 5)
PROBE_TOLERANCE = 2e-2
"""Largest difference of two kernels in half precision at values of about 1: bf16 rounds in the third decimal."""


def group_equal_lengths(batch: Packed) -> list[Group]:
    """Return each run of texts of equal length."""
    lengths = batch.lengths_B
    bounds = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(lengths)]
    groups, start = [], 0
    for first, last in pairwise(bounds):
        length = int(lengths[first])
        groups.append((start, last - first, length))
        start += (last - first) * length
    return groups


def attend_by_group(groups: list[Group]) -> Attention:
    """Return attention that computes texts of equal length together: a view [n, l, …] of the row needs no mask."""

    def attend(qkv_T3HD: Tensor) -> Tensor:
        context_THD = torch.zeros_like(qkv_T3HD[:, 0])  # the filling stays zero
        for start, n, length in groups:
            rows = slice(start, start + n * length)
            q, k, v = qkv_T3HD[rows].view(n, length, *qkv_T3HD.shape[1:]).permute(2, 0, 3, 1, 4)
            context_NHLD = F.scaled_dot_product_attention(q, k, v)
            context_THD[rows] = context_NHLD.transpose(1, 2).flatten(0, 1)
        return context_THD

    return attend


def attend_by_text(kernel: Varlen, batch: Packed, send: Callable[[Ints], Tensor]) -> Attention:
    """Return attention that computes all texts at once; the filling counts as one more text.

    Args:
        send: copies an array to the device.
    """
    tokens = int(batch.lengths_B.sum())
    filling = len(batch.ids_T) - tokens
    bounds = np.concatenate([batch.starts_B, [tokens], [tokens + filling] if filling else []]).astype(np.int32)
    longest = max(int(batch.lengths_B.max()), filling)
    text_bounds = send(bounds)

    def attend(qkv_T3HD: Tensor) -> Tensor:
        q, k, v = qkv_T3HD.unbind(1)
        return kernel(q, k, v, text_bounds, text_bounds, longest, longest)

    return attend


def find_varlen_kernel(device: str, dtype: torch.dtype, heads: int, head_size: int) -> Varlen | None:
    """Return torch's kernel for texts of any length if this torch has one that is correct on this device.

    The kernel is younger than the rest of torch, needs half precision, and does not support every GPU: so a small batch
    tests it.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn

        kernel = cast("Varlen", varlen_attn)
        lengths = np.array(PROBE_LENGTHS, np.int32)
        tokens = np.zeros(sum(PROBE_LENGTHS), np.int32)
        batch = Packed(tokens, tokens, lengths)
        qkv_T3HD = torch.randn(len(tokens), 3, heads, head_size, device=device).to(dtype)
        found_THD = attend_by_text(kernel, batch, lambda values: torch.from_numpy(values).to(device))(qkv_T3HD)
        expected_THD = attend_by_group(group_equal_lengths(batch))(qkv_T3HD)
        right = torch.allclose(found_THD.float(), expected_THD.float(), rtol=0.0, atol=PROBE_TOLERANCE)
    except (ImportError, RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
    return kernel if right else None
