"""Which device and precision the model runs at here: measured, because flags of the processor mislead.

bf16 is four times fp32 on a CPU with AMX and half of it on one whose only sign of bf16 is `avx512_bf16`.
"""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from .distilbert_cnn import DistilBertCNN

WORTH_ROUNDING = 2.5
"""How much faster bf16 must be to be chosen. It moves probabilities in the third decimal, so a choice that noise could
turn would give a text other scores after a restart. With AMX it is four times as fast, without it 0.5 to 1.9 times."""

FAR_BEHIND = 2.0
"""How many times the best time a candidate's own may be before it is not measured further."""

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class DeviceUnknown(ValueError):
    """A device or a precision that this machine does not have, and what it takes instead."""


def usable_cores() -> int:
    """Cores this process may use: its affinity, and under a container's CPU quota no more than that quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def choose_device(device: str) -> torch.device:
    """The device named, or for `auto` a CUDA GPU where there is one.

    Raises:
        DeviceUnknown: there is no such device, or not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceUnknown(f"device {device!r} is unknown; it takes auto, cpu, cuda or cuda:N") from error
    if chosen.type not in ("cpu", "cuda"):
        raise DeviceUnknown(f"device {device!r} is not supported; it takes auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise DeviceUnknown(f"device {device!r} is not on this machine ({torch.cuda.device_count()} CUDA devices seen)")
    return chosen


def choose_precision(precision: str, model: DistilBertCNN, device: torch.device) -> tuple[str, dict[str, float]]:
    """The precision named, or for `auto` the one to use on *device*: bf16 on a CPU only where it pays.

    Returns:
        The precision's name, and for `auto` on a CPU the milliseconds measured for each candidate.

    Raises:
        DeviceUnknown: there is no such precision.
    """
    if precision != "auto":
        if precision not in PRECISIONS:
            raise DeviceUnknown(f"precision {precision!r} is unknown; it takes auto, {', '.join(PRECISIONS)}")
        return precision, {}
    if device.type == "cuda":
        # Tensor cores run it as fast as bf16, and it keeps probabilities ten times closer to fp32's.
        return "fp16", {}
    timings = measure_ms(model, ("fp32", "bf16"))
    return "bf16" if timings["bf16"] * WORTH_ROUNDING < timings["fp32"] else "fp32", timings


@torch.inference_mode()
def measure_ms(
    model: DistilBertCNN, precisions: Iterable[str], *, texts: int = 8, tokens: int = 24, repeats: int = 5
) -> dict[str, float]:
    """Best milliseconds of one CPU batch at each precision, interleaved: what a neighbour slows down does not count.

    One that is far behind after two tries is tried no more: bf16 that a processor only imitates takes a second of every
    start to lose.
    """
    ids_BL = torch.full((texts, tokens), model.config.vocab_size - 1)
    mask_BL = torch.ones(texts, tokens, dtype=torch.bool)
    candidates = {name: cast(model, name) for name in precisions}
    for candidate in candidates.values():
        candidate(ids_BL, mask_BL)  # kernels are compiled for a shape at its first use
    timings: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(repeats):
        for name, candidate in candidates.items():
            if repeat >= 2 and min(timings[name]) > FAR_BEHIND * min(map(min, timings.values())):
                continue
            start = time.perf_counter()
            candidate(ids_BL, mask_BL)
            timings[name].append((time.perf_counter() - start) * 1000)
    return {name: round(min(values), 2) for name, values in timings.items()}


def cast(model: DistilBertCNN, precision: str) -> DistilBertCNN:
    """A copy of *model*, for inference, at *precision*; the original is left as it is."""
    copy = DistilBertCNN(model.config)
    copy.load_state_dict(model.state_dict())
    return copy.to(PRECISIONS[precision]).eval().requires_grad_(requires_grad=False)
