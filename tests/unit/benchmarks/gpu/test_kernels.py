"""The table of kernels lists what the device computed, and its names fit into a cell."""

from types import SimpleNamespace
from typing import Any

from benchmarks.gpu import kernels


def build_event(key: str, device: str, cpu_us: float, device_us: float) -> Any:
    device_type = SimpleNamespace(name=device)
    return SimpleNamespace(
        key=key, device_type=device_type, self_cpu_time_total=cpu_us, self_device_time_total=device_us, count=2
    )


def test_on_a_gpu_only_kernels_count_and_on_a_cpu_only_operators() -> None:
    """On a GPU, an operator repeats the time of its kernels."""
    events = [
        build_event("aten::mm", "CPU", 9.0, 50.0),
        build_event("void gemm<float>", "CUDA", 0.0, 50.0),
        build_event("void gelu", "CUDA", 0.0, 70.0),
    ]
    assert [("gelu", 70.0, 2), ("gemm<float>", 50.0, 2)] == kernels.list_kernels(events, on_gpu=True)
    assert [("aten::mm", 9.0, 2)] == kernels.list_kernels(events, on_gpu=False)


def test_a_name_fits_into_a_cell() -> None:
    name = kernels.shorten("void at::native::" + "templated<int, a|b>`" * 20)
    assert kernels.SHOWN == len(name)
    assert not {"|", "`"} & set(name)
