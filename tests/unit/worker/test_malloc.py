"""A worker returns free memory to the system."""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Iterator

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


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector of the tests, as it was before."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_what_was_loaded_is_not_searched_and_a_batch_starts_no_collection() -> None:
    malloc.collect_rarely()
    assert gc.get_freeze_count() > 10_000
    collections = gc.get_stats()[0]["collections"]
    batch = [[number] for number in range(20_000)]  # Python's default is 700, or 2,000
    assert collections == gc.get_stats()[0]["collections"]
    del batch


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
