"""The machine's processor, usable cores and GPUs, read without torch."""

import ctypes
import importlib.util
import math
import os
import platform
from pathlib import Path

from emotag_model.errors import DeviceUnknown, explain_install

MATRIX_INSTRUCTIONS: tuple[str, ...] = (
    "amx_bf16",
    "amx_int8",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "avx512f",
    "avx2",
)


CGROUP = Path("/sys/fs/cgroup")
"""The control group of this container, as seen from inside. On a bare machine it is the root group, without a quota."""


def count_usable_cores() -> int:
    """Return how many cores this process may use: its affinity, but no more than its container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read_cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _read_cpu_quota() -> float | None:
    """Return the container's quota in cores, by version 2 of control groups or version 1; None without a quota."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((CGROUP / file).read_text() for file in files).split()
            if quota in ("max", "-1"):  # no limit, in version 2 and version 1
                return None
            return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # another version, or no control groups
            continue
    return None


def describe_processor() -> str:
    """Return the processor's model name and its instructions that decide how fast matrices are multiplied."""
    return f"{read_processor_name()} ({', '.join(list_instructions())})"


def read_processor_name() -> str:
    """Return the processor's name, or its architecture if the system does not report a name."""
    return _read_cpuinfo("model name") or platform.processor() or platform.machine()


def list_instructions() -> list[str]:
    """Return those of `MATRIX_INSTRUCTIONS` that the processor has."""
    flags = set(_read_cpuinfo("flags").split())
    return [name for name in MATRIX_INSTRUCTIONS if name in flags]


def _read_cpuinfo(field: str) -> str:
    """Return the first core's *field*; empty if the system does not report it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field), "")


def is_installed(package: str) -> bool:
    """Return True if *package* can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def count_gpus() -> int:
    """Return the number of GPUs that NVIDIA's driver sees."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def choose_device(device: str) -> str:
    """Return the device named; for `auto`, a CUDA GPU if there is one and torch can use it.

    Raises:
        DeviceUnknown: there is no such device, or not on this machine.
    """
    if device == "cpu":
        return device
    if device == "auto":
        # torch takes seconds to import, so it is imported only if the driver sees a GPU.
        return "cuda" if count_gpus() and is_installed("torch") and _count_cuda_devices() else "cpu"
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index.isdecimal() or device == "cuda"):
        raise DeviceUnknown(f"device {device!r} is unknown; use auto, cpu, cuda or cuda:N")
    if not is_installed("torch"):
        raise DeviceUnknown(f"device {device!r} needs torch; {explain_install('cuda')}")
    if int(index or 0) >= _count_cuda_devices():
        raise DeviceUnknown(
            f"device {device!r} is not on this machine, which has {_count_cuda_devices()} CUDA devices "
            "(counted from 0); use auto or cpu"
        )
    return device


def _count_cuda_devices() -> int:
    import torch

    return torch.cuda.device_count()


def memory_bytes(device: str) -> dict[str, int]:
    """Return the device's memory that this process holds, in bytes by kind.

    On a CPU: the resident memory. On a GPU: the memory that torch has reserved, and the part of it that is in use.
    Empty if the system does not report it.
    """
    if device != "cpu":
        import torch

        return {"reserved": torch.cuda.memory_reserved(device), "allocated": torch.cuda.memory_allocated(device)}
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return {}
    return {"resident": pages * os.sysconf("SC_PAGE_SIZE")}
