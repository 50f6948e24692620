"""The roofline: the rates at which the machine multiplies matrices and copies memory."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch

from emotag_model.engines.device import count_usable_cores, is_installed, list_instructions
from emotag_model.engines.precision import PrecisionName
from emotag_model.engines.torch_engine import DTYPES

SIZES = ((512, 384, 1536), (2048, 384, 1536), (2048, 1536, 384), (1024, 1024, 1024), (2048, 2048, 2048))
"""Rows, inner and columns: the layers of the model, and squares that suit the library best."""

MEASURABLE = (*DTYPES, "int8")
"""Precisions in which torch multiplies matrices."""

BY_OPENVINO = ("fp32", "bf16")
"""Precisions in which OpenVINO multiplies float32 inputs."""

FAR_BEHIND = 4
"""A library this many times as slow at its first size is not measured at the others."""

TORCH, OPENVINO = "torch", "OpenVINO"

COPIES = 16
"""Copies between two looks at the clock."""

GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192), (65536, 768, 3072))


COPY_BYTES = (2**17, 2**18, 2**20, 2**22)
"""Sizes of a copied tensor: from one that stays in the fastest cache to one that does not."""

VNNI = frozenset(("avx512_vnni", "avx_vnni", "amx_int8"))
"""Instructions that add products of 8-bit integers without cutting anything off."""


@dataclass(frozen=True)
class Rate:
    """Operations or bytes per second, on all cores.

    Attributes:
        clock: per second of the clock.
        processor: per second of processor time, all threads together.
    """

    clock: float
    processor: float


def find_best(rates: Iterable[Rate]) -> Rate:
    """Return the highest rate by the clock, and the highest by processor time: they may be of different sizes."""
    measured = list(rates)
    return Rate(max(rate.clock for rate in measured), max(rate.processor for rate in measured))


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
    return max(_rate(*size, _torch(size, precision, device), device, seconds).clock for size in sizes)


def measure_fastest_matmul_rate(
    precision: str, *, seconds: float = 0.15, sizes: Sequence[tuple[int, int, int]] = SIZES
) -> Rate:
    """Return the operations per second on a CPU of the fastest exact product.

    Torch and OpenVINO are measured in float precisions, because either may be much faster. On a processor without
    VNNI, a product of float32 may also be faster than the exact one of int8, so both are measured.

    Raises:
        ValueError: no library multiplies matrices in this precision.
    """
    rates: list[Rate] = []
    for name in list_exact(precision):
        for library in list_libraries(name):
            build = partial(_openvino, precision=name) if library == OPENVINO else partial(_torch, precision=name)
            for number, size in enumerate(sizes):
                rate = _rate(*size, build(size), "cpu", seconds)
                rates.append(rate)
                # Without VNNI, one large product of int8 takes ten seconds.
                if number == 0 and rate.clock * FAR_BEHIND < find_best(rates).clock:
                    break
    return find_best(rates)


def list_exact(precision: str) -> tuple[str, ...]:
    """Return the precisions in which this processor computes the products of *precision* exactly, and maybe fast."""
    return ("fp32", precision) if precision == "int8" and VNNI.isdisjoint(list_instructions()) else (precision,)


def list_libraries(precision: str) -> tuple[str, ...]:
    """Return the libraries that multiply matrices in *precision* on this CPU."""
    if precision in BY_OPENVINO and is_installed("openvino"):
        from emotag_model.engines.openvino_engine import is_exact

        if is_exact(cast("PrecisionName", precision)):
            return TORCH, OPENVINO
    return (TORCH,)


@torch.inference_mode()
def measure_copy_rate(*, seconds: float = 0.1, sizes: Sequence[int] = COPY_BYTES) -> Rate:
    """Return the bytes per second that a copy reads and writes, at its best size."""
    rates = []
    for size in sizes:
        source = torch.ones(size // 4)
        target = torch.empty_like(source)

        def copy(source: torch.Tensor = source, target: torch.Tensor = target) -> int:
            for _ in range(COPIES):
                target.copy_(source)
            return COPIES

        rates.append(_repeat(copy, 2 * size, "cpu", seconds))
    return find_best(rates)


@torch.inference_mode()
def _rate(rows: int, inner: int, columns: int, multiply: Callable[[], int], device: str, seconds: float) -> Rate:
    """Return the operations per second of *multiply*, which returns its number of products."""
    return _repeat(multiply, 2 * rows * inner * columns, device, seconds)


def _repeat(call: Callable[[], int], each: int, device: str, seconds: float) -> Rate:
    """Call for some *seconds*. Return the work per second, if one unit of *call*'s count is *each* operations."""
    call()
    synchronize(device)
    done, began, spent_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        done += call()
        synchronize(device)
    taken_s, spent_s = time.perf_counter() - began, time.process_time() - spent_s
    return Rate(each * done / taken_s, each * done / max(spent_s, 1e-9))


def _torch(size: tuple[int, int, int], precision: str, device: str = "cpu") -> Callable[[], int]:
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
