"""What this machine has to offer: its processor, the cores of it that may be used, perhaps a GPU. Without torch."""

import ctypes
import importlib.util
import math
import os
import platform
from pathlib import Path

MATRIX_INSTRUCTIONS = ("amx_bf16", "amx_int8", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx512f", "avx2")


class DeviceUnknown(ValueError):
    """A device, an engine or a precision that this machine does not have, and what it takes instead."""


def usable_cores() -> int:
    """Cores this process may use: its affinity, and under a container's CPU quota no more than that quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def processor() -> str:
    """The processor's model name, and those of its instructions that decide how fast matrices are multiplied."""
    return f"{model_name()} ({', '.join(instructions())})"


def model_name() -> str:
    """The processor's own name, as far as the system says it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instructions() -> list[str]:
    """Those of `MATRIX_INSTRUCTIONS` that the processor has."""
    flags = set(_cpuinfo("flags").split())
    return [name for name in MATRIX_INSTRUCTIONS if name in flags]


def _cpuinfo(field: str) -> str:
    """The first core's *field*; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field), "")


def installed(package: str) -> bool:
    """Whether *package* can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def gpus() -> int:
    """GPUs that NVIDIA's driver sees; 0 where there is none."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def choose_device(device: str) -> str:
    """The device named, or for `auto` a CUDA GPU where there is one and torch to use it.

    Raises:
        DeviceUnknown: there is no such device, or not on this machine.
    """
    if device == "cpu":
        return device
    if device == "auto":
        # torch takes seconds to import: where the driver sees no GPU it is not asked.
        return "cuda" if gpus() and installed("torch") and _cuda_devices() else "cpu"
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index.isdecimal() or device == "cuda"):
        raise DeviceUnknown(f"device {device!r} is unknown; it takes auto, cpu, cuda or cuda:N")
    if not installed("torch"):
        raise DeviceUnknown(f"device {device!r} needs torch: pip install 'emotag[cuda]'")
    if int(index or 0) >= _cuda_devices():
        raise DeviceUnknown(f"device {device!r} is not on this machine ({_cuda_devices()} CUDA devices seen)")
    return device


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count()


def memory_bytes(device: str) -> dict[str, int]:
    """What the model's device holds of this process, by kind: on a CPU all that is resident; on a GPU what torch has
    reserved, and what of that is in use. Empty where the system does not say.
    """
    if device != "cpu":
        import torch

        return {"reserved": torch.cuda.memory_reserved(device), "allocated": torch.cuda.memory_allocated(device)}
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return {}
    return {"resident": pages * os.sysconf("SC_PAGE_SIZE")}
