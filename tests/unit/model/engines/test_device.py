"""The machine's processor, cores and devices."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotag_model.engines import device
from emotag_model.engines.device import count_usable_cores
from emotag_model.errors import DeviceUnknown

V1_QUOTA, V1_PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder instead of /sys/fs/cgroup, on a machine with eight cores."""
    monkeypatch.setattr(device, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def write(cgroup: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = cgroup / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content + "\n", encoding="ascii")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        pytest.param({}, 8, id="no control groups"),
        pytest.param({"cpu.max": "max 100000"}, 8, id="v2 without a quota"),
        pytest.param({"cpu.max": "200000 100000"}, 2, id="v2"),
        pytest.param({"cpu.max": "150000 100000"}, 2, id="v2, part of a core"),
        pytest.param({"cpu.max": "1000 100000"}, 1, id="v2, less than a core"),
        pytest.param({"cpu.max": "3200000 100000"}, 8, id="v2, more than the machine has"),
        pytest.param({"cpu.max": "nonsense"}, 8, id="v2, unreadable"),
        pytest.param({V1_QUOTA: "-1", V1_PERIOD: "100000"}, 8, id="v1 without a quota"),
        pytest.param({V1_QUOTA: "300000", V1_PERIOD: "100000"}, 3, id="v1"),
        pytest.param({V1_QUOTA: "50000", V1_PERIOD: "100000"}, 1, id="v1, less than a core"),
        pytest.param({V1_QUOTA: "300000"}, 8, id="v1 without a period"),
        pytest.param({V1_QUOTA: "300000", V1_PERIOD: "0"}, 8, id="v1, a period of zero"),
    ],
)
def test_cores_are_limited_by_the_quota(cgroup: Path, files: dict[str, str], cores: int) -> None:
    write(cgroup, files)
    assert count_usable_cores() == cores


def test_cores_are_limited_by_the_affinity(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cgroup, {"cpu.max": "400000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert count_usable_cores() == 1


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give every file that is read the text of the test."""

    def write(text: str) -> None:
        def read(self: Path, **_: Any) -> str:
            return text

        monkeypatch.setattr(Path, "read_text", read)

    return write


def test_instructions_are_those_of_the_first_core(file: Callable[[str], None]) -> None:
    file("processor : 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f avx512_vnni\nflags : amx_int8\n")
    assert ["avx512_vnni", "avx512f", "avx2"] == device.list_instructions()
    assert "Some CPU @ 2 GHz" == device.read_processor_name()
    assert "Some CPU @ 2 GHz (avx512_vnni, avx512f, avx2)" == device.describe_processor()


def test_a_package_is_installed_or_not() -> None:
    assert device.is_installed("numpy")
    assert not device.is_installed("no_such_package")


def test_a_machine_without_a_gpu_uses_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "count_gpus", lambda: 0)
    assert "cpu" == device.choose_device("auto")


def test_a_gpu_is_used_if_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "count_gpus", lambda: 1)
    monkeypatch.setattr(device, "_count_cuda_devices", lambda: 1)
    assert "cuda" == device.choose_device("auto")
    assert "cuda:0" == device.choose_device("cuda:0")
    monkeypatch.setattr(device, "is_installed", lambda _: False)
    assert "cpu" == device.choose_device("auto")


@pytest.mark.parametrize(
    ("name", "why"),
    [("tpu", "use auto, cpu, cuda"), ("cuda:x", "is unknown"), ("cuda:1", "not on this machine")],
)
def test_another_device_is_refused(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_count_cuda_devices", lambda: 1)
    with pytest.raises(DeviceUnknown, match=why):
        device.choose_device(name)


def test_the_memory_of_a_process_is_reported() -> None:
    assert device.memory_bytes("cpu")["resident"] > 2**20
