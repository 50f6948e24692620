"""A worker returns free memory to the system."""

import ctypes
import subprocess
import sys

import pytest

from emotag_worker import malloc


def test_memory_is_trimmed_on_the_first_round_and_then_every_thirty_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first: loading leaves the most."""
    times = iter((100.0, 101.0, 100.0 + malloc.EVERY_S, 101.0 + malloc.EVERY_S))
    calls: list[str] = []
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    monkeypatch.setattr(malloc, "trim", lambda: calls.append("trim"))
    trimmer = malloc.Trimmer()
    counts = []
    for _ in range(4):
        trimmer.trim_if_due()
        counts.append(len(calls))
    assert [1, 1, 2, 2] == counts


@pytest.mark.parametrize("function", [malloc.share_arenas, malloc.trim])
def test_another_c_library_is_left_alone(function: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS or with musl: no library of that name, or one without these functions."""

    def missing(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert callable(function)
    function()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    function()


HEAPS = """
import ctypes, io, os, threading
from emotag_worker import malloc

if {share}:
    malloc.share_arenas()
blocks, barrier = [], threading.Barrier(9)

def allocate():
    blocks.append(ctypes.create_string_buffer(1000))
    barrier.wait()

for thread in [threading.Thread(target=allocate) for _ in range(8)]:
    thread.start()
barrier.wait()
libc = ctypes.CDLL("libc.so.6")
libc.malloc_stats()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")
def test_threads_share_their_heaps() -> None:
    """glibc prints one line `Arena N:` for each heap."""

    def heaps(*, share: bool) -> int:
        program = HEAPS.format(share=share)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return done.stderr.count("Arena ")

    assert heaps(share=True) <= malloc.ARENAS < heaps(share=False)
