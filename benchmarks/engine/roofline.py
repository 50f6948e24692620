"""The roofline: the operations that the texts need, and the rate at which the machine multiplies matrices."""

import time
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch

from emotag_model.config import ModelConfig
from emotag_model.engines.device import count_usable_cores, is_installed
from emotag_model.engines.precision import PrecisionName
from emotag_model.engines.torch_engine import DTYPES

SIZES = ((512, 384, 1536), (2048, 384, 1536), (2048, 1536, 384), (1024, 1024, 1024), (2048, 2048, 2048))
"""Rows, inner and columns: the layers of the model, and squares that suit the library best."""

MEASURABLE = (*DTYPES, "int8")
"""Precisions in which torch multiplies matrices."""

BY_OPENVINO = ("fp32", "bf16")
"""Precisions in which OpenVINO multiplies float32 inputs."""

GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192), (65536, 768, 3072))


def count_flops(config: ModelConfig, lengths: Sequence[int]) -> int:
    """Return the floating-point operations of one forward over texts of these lengths, without padding.

    Linear layers, attention within each text, convolution, classifier; a multiplication and an addition count as two.
    Norms, activations and softmax are not counted, as is usual: they are about 1 %.
    """
    C, hidden = config.dim, config.hidden_dim
    per_token = config.n_layers * (4 * 2 * C * C + 2 * 2 * C * hidden)
    per_token += 2 * config.kernel_size * C * config.channels
    attention = config.n_layers * 2 * 2 * C * sum(length * length for length in lengths)
    return per_token * sum(lengths) + attention + len(lengths) * 2 * config.channels * len(config.labels)


def measure_matmul_rate(
    precision: str,
    *,
    device: str = "cpu",
    seconds: float = 0.15,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
) -> float:
    """Return the operations per second of torch's matrix multiplication at its best size.

    Args:
        precision: as the tagger names it; `int8` uses torch's integer product.
        seconds: spent on each size.

    Raises:
        ValueError: no library multiplies matrices in this precision.
    """
    return max(_rate(*size, _torch(size, precision, device), device, seconds) for size in sizes)


def measure_fastest_matmul_rate(
    precision: str, *, seconds: float = 0.15, sizes: Sequence[tuple[int, int, int]] = SIZES
) -> float:
    """Return the operations per second on a CPU of torch or OpenVINO, whichever is faster: either may be much faster.

    Raises:
        ValueError: no library multiplies matrices in this precision.
    """
    rates = [measure_matmul_rate(precision, seconds=seconds, sizes=sizes)]
    if "OpenVINO" in list_libraries(precision):
        rates += [_rate(*size, _openvino(size, precision), "cpu", seconds) for size in sizes]
    return max(rates)


def list_libraries(precision: str) -> tuple[str, ...]:
    """Return the libraries that multiply matrices in *precision* on this CPU."""
    if precision in BY_OPENVINO and is_installed("openvino"):
        from emotag_model.engines.openvino_engine import is_exact

        if is_exact(cast("PrecisionName", precision)):
            return "torch", "OpenVINO"
    return ("torch",)


@torch.inference_mode()
def _rate(rows: int, inner: int, columns: int, multiply: Callable[[], int], device: str, seconds: float) -> float:
    """Return the operations per second of *multiply*, which returns its number of products."""
    multiply()
    synchronize(device)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        done += multiply()
        synchronize(device)
    return 2 * rows * inner * columns * done / (time.perf_counter() - began)


def _torch(size: tuple[int, int, int], precision: str, device: str) -> Callable[[], int]:
    rows, inner, columns = size
    if precision == "int8":
        left = torch.randint(-100, 100, (rows, inner), dtype=torch.int8, device=device)
        right = torch.randint(-100, 100, (inner, columns), dtype=torch.int8, device=device)
        product = torch._int_mm
    elif precision in DTYPES:
        left = torch.randn(rows, inner, device=device, dtype=DTYPES[precision])
        right = torch.randn(inner, columns, device=device, dtype=DTYPES[precision])
        product = torch.mm
    else:
        raise ValueError(f"no library here multiplies matrices in {precision}")
    times = 20 if device.startswith("cuda") else 1

    def multiply() -> int:
        for _ in range(times):
            product(left, right)
        return times

    return multiply


def _openvino(size: tuple[int, int, int], precision: str) -> Callable[[], int]:
    """Return a product as the engine runs it: one stream per core, weights laid out beforehand."""
    from emotag_model.engines.openvino_engine import HINTS
    from emotag_model.engines.openvino_graph import ops, ov

    rows, inner, columns = size
    cores = count_usable_cores()
    rng = np.random.default_rng(0)
    left = ops.parameter([rows, inner], ov.Type.f32)
    right = ops.constant(rng.standard_normal((columns, inner), np.float32))
    compiled = ov.Core().compile_model(
        ov.Model([ops.matmul(left, right, False, True)], [left], "product"),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": cores,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "ENABLE_CPU_PINNING": False,
        },
    )
    requests = [compiled.create_infer_request() for _ in range(cores)]
    for request in requests:
        request.set_input_tensor(ov.Tensor(rng.standard_normal((rows, inner), np.float32)))

    def multiply() -> int:
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()
        return len(requests)

    return multiply


def synchronize(device: str) -> None:
    """Wait until *device* has finished its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
