"""The number of workers, and their cores."""

import os

import pytest

from emotag_worker.supervisor import shares
from emotag_worker.supervisor.shares import count_processes, list_cores, split_cores


@pytest.mark.parametrize(
    ("chosen", "device", "gpus", "cores", "expected"),
    [
        (3, "cpu", 0, 16, 3),
        (3, "cuda", 1, 2, 3),
        ("auto", "cpu", 1, 16, 16),
        ("auto", "auto", 0, 16, 16),
        ("auto", "auto", 1, 16, 4),
        ("auto", "cuda:1", 2, 16, 4),
        ("auto", "cuda", 1, 2, 2),
    ],
)
def test_auto_is_one_process_for_each_core_and_four_at_most_on_a_gpu(
    chosen: int, device: str, gpus: int, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "count_usable_cores", lambda: cores)
    monkeypatch.setattr(shares, "count_gpus", lambda: gpus)
    monkeypatch.setattr(shares, "is_installed", lambda _: True)
    assert expected == count_processes(chosen, device)


def test_without_torch_auto_uses_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "count_usable_cores", lambda: 16)
    monkeypatch.setattr(shares, "count_gpus", lambda: 1)
    monkeypatch.setattr(shares, "is_installed", lambda _: False)
    assert 16 == count_processes("auto", "auto")


@pytest.mark.parametrize(
    ("cores", "processes", "expected"),
    [
        ([0, 1], 2, [[0], [1]]),
        ([0, 1, 2, 3], 2, [[0, 1], [2, 3]]),
        ([1, 3, 5, 7, 9], 2, [[1, 3], [5, 7, 9]]),
        ([4, 5, 6], 3, [[4], [5], [6]]),
        ([0, 1], 5, [[0], [1], [0], [1], [0]]),
        ([7], 2, [[7], [7]]),
        ([], 2, [[], []]),
    ],
)
def test_cores_are_split_without_overlaps_and_in_turn_if_there_are_too_few(
    cores: list[int], processes: int, expected: list[list[int]]
) -> None:
    assert expected == split_cores(cores, processes)


def test_only_the_cores_of_this_process_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have some of the cores of a machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {9, 3})
    assert [3, 9] == list_cores()
