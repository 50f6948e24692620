"""What the machine could do at best: the work that the texts need, over the rate at which it multiplies matrices."""

import time
from collections.abc import Sequence

import torch

from model.config import ModelConfig
from model.torch_engine import DTYPES

SIZES = ((512, 384, 1536), (2048, 384, 1536), (2048, 1536, 384), (1024, 1024, 1024), (2048, 2048, 2048))
"""Rows, inner and columns: the model's own layers, and squares that suit the library best."""

MEASURABLE = (*DTYPES, "int8")
"""Precisions in which torch multiplies matrices."""

GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192), (65536, 768, 3072))


def flops(config: ModelConfig, lengths: Sequence[int]) -> int:
    """Floating-point operations of one forward over texts of these lengths, without any padding.

    Linear layers, attention within each text, convolution, classifier; a multiplication and an addition count as two.
    Norms, activations and softmax are left out, as is usual: they are a percent.
    """
    C, hidden = config.dim, config.hidden_dim
    per_token = config.n_layers * (4 * 2 * C * C + 2 * 2 * C * hidden)
    per_token += 2 * config.kernel_size * C * config.channels
    attention = config.n_layers * 2 * 2 * C * sum(length * length for length in lengths)
    return per_token * sum(lengths) + attention + len(lengths) * 2 * config.channels * len(config.labels)


def matmul_rate(
    precision: str,
    *,
    device: str = "cpu",
    seconds: float = 0.15,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
) -> float:
    """Operations per second of torch's matrix multiplication at its best size, in *precision*.

    Args:
        precision: as the tagger names it; `int8` is measured by torch's integer product.
        seconds: spent on each size.

    Raises:
        ValueError: there is no way to measure this precision.
    """
    return max(_rate(size, precision, device, seconds) for size in sizes)


@torch.inference_mode()
def _rate(size: tuple[int, int, int], precision: str, device: str, seconds: float) -> float:
    rows, inner, columns = size
    if precision == "int8":
        left = torch.randint(-100, 100, (rows, inner), dtype=torch.int8, device=device)
        right = torch.randint(-100, 100, (inner, columns), dtype=torch.int8, device=device)
        multiply = torch._int_mm
    elif precision in DTYPES:
        left = torch.randn(rows, inner, device=device, dtype=DTYPES[precision])
        right = torch.randn(inner, columns, device=device, dtype=DTYPES[precision])
        multiply = torch.mm
    else:
        raise ValueError(f"nothing multiplies matrices in {precision} here")
    multiply(left, right)
    wait(device)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(20 if device.startswith("cuda") else 1):
            multiply(left, right)
            done += 1
        wait(device)
    return 2 * rows * inner * columns * done / (time.perf_counter() - began)


def wait(device: str) -> None:
    """Until *device* has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
