"""Kernels in Triton that may replace steps of the engine, if `candidates.py` measures a gain on a GPU.

On a CPU they run in Triton's interpreter, if TRITON_INTERPRET=1 is set before this module is imported.
"""

# ruff: noqa: ANN001, ANN202  (Triton reads the annotations of a kernel itself)

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LEAST_TILE = 16
"""Rows of the smallest tile that a tensor core multiplies."""

MOST_TOKENS = 64
"""Tokens of the longest text that one program can attend to; longer texts need another kernel."""


def attend_short_texts(qkv_T3HD: Tensor, bounds: Tensor, longest: int) -> Tensor:
    """Return the context [T, H, D] of each token, with one program for each text and head.

    FlashAttention computes tiles of 128 rows; a text of 20 tokens needs 32.

    Args:
        bounds: int32, the first token of each text, and the number of all tokens.
        longest: tokens of the longest text, at most `MOST_TOKENS`.
    """
    assert longest <= MOST_TOKENS
    tokens, _, heads, size = qkv_T3HD.shape
    context_THD = qkv_T3HD.new_empty(tokens, heads, size)
    tile = max(LEAST_TILE, triton.next_power_of_2(longest))
    grid: Any = _attend[(len(bounds) - 1, heads)]
    grid(qkv_T3HD, context_THD, bounds, size**-0.5, HEADS=heads, SIZE=size, TILE=tile, num_warps=1 if tile <= 32 else 2)
    return context_THD


def add_and_normalize(x_TC: Tensor, residual_TC: Tensor, weight_C: Tensor, bias_C: Tensor, epsilon: float) -> Tensor:
    """Return LayerNorm(x + residual), in one pass over memory."""
    result_TC = torch.empty_like(x_TC)
    tokens, width = x_TC.shape
    grid: Any = _add_and_normalize[(tokens,)]
    grid(
        x_TC, residual_TC, weight_C, bias_C, result_TC, width, epsilon, BLOCK=triton.next_power_of_2(width), num_warps=4
    )
    return result_TC


@triton.jit  # type: ignore[untyped-decorator]
def _attend(  # type: ignore[no-untyped-def]
    qkv,
    context,
    bounds,
    scale,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    TILE: tl.constexpr,
):
    text, head = tl.program_id(0), tl.program_id(1)
    first = tl.load(bounds + text)
    length = tl.load(bounds + text + 1) - first
    # 1. Load the text's rows of queries, keys and values; the tile's other rows are zero.
    rows, columns = tl.arange(0, TILE), tl.arange(0, SIZE)
    real = rows < length
    places = (first + rows)[:, None] * (3 * HEADS * SIZE) + head * SIZE + columns[None, :]
    q = tl.load(qkv + places, mask=real[:, None], other=0.0)
    k = tl.load(qkv + places + HEADS * SIZE, mask=real[:, None], other=0.0)
    v = tl.load(qkv + places + 2 * HEADS * SIZE, mask=real[:, None], other=0.0)
    # 2. The softmax over the text's tokens, in float32.
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    scores = tl.where(real[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, axis=1)[:, None])
    weights = weights / tl.sum(weights, axis=1)[:, None]
    # 3. The weighted sum of the values.
    found = tl.dot(weights.to(v.dtype), v, input_precision="ieee")
    targets = (first + rows)[:, None] * (HEADS * SIZE) + head * SIZE + columns[None, :]
    tl.store(context + targets, found.to(v.dtype), mask=real[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def _add_and_normalize(  # type: ignore[no-untyped-def]
    x,
    residual,
    weight,
    bias,
    result,
    width,
    epsilon,
    BLOCK: tl.constexpr,
):
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    places = tl.program_id(0) * width + columns
    added = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
    added += tl.load(residual + places, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(added, axis=0) / width
    centered = tl.where(inside, added - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centered * centered, axis=0) / width + epsilon)
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(bias + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(result + places, (centered * scale * gain + shift).to(result.dtype.element_ty), mask=inside)
