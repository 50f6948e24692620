"""The number of workers on this machine, and the cores of each."""

import itertools
import os
from collections.abc import Sequence
from typing import Literal

from emotag_model.engines.device import count_gpus, count_usable_cores, is_installed

GPU_PROCESSES = 4
"""Workers that share a GPU by `auto`. One process keeps a large GPU busy for a tenth of the time, because its Python
code runs on one core. Each process also has its own model and its own CUDA context in the GPU's memory."""


def count_processes(chosen: int | Literal["auto"], device: str) -> int:
    """Return the number of workers.

    Args:
        chosen: the setting `processes`. `auto`: one for each usable core; on a GPU at most `GPU_PROCESSES`.
        device: the setting `model.device`.
    """
    if chosen != "auto":
        return chosen
    cores = count_usable_cores()
    return min(cores, GPU_PROCESSES) if _is_gpu(device) else cores


def list_cores() -> list[int]:
    """Return the cores that this process may use; empty if the system has no affinities."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def split_cores(cores: Sequence[int], processes: int) -> list[Sequence[int]]:
    """Return the cores of each process: equal shares that do not overlap; with too few cores, one each in turn."""
    if len(cores) < processes:
        return [cores[process % len(cores) :][:1] if cores else [] for process in range(processes)]
    bounds = [len(cores) * process // processes for process in range(processes + 1)]
    return [cores[first:end] for first, end in itertools.pairwise(bounds)]


def _is_gpu(device: str) -> bool:
    """Return True if a worker with this setting uses a GPU. To be quick and small, this does not import torch."""
    return device != "cpu" and (device != "auto" or (count_gpus() > 0 and is_installed("torch")))
