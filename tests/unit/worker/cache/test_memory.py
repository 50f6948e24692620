"""The cache in the worker's memory: what it finds, what it drops, and what it asks the cache behind."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from emotag_worker.cache.entry import NO_PROBABILITIES, Entry, WindowEntry, quantize
from emotag_worker.cache.memory import MemoryCache
from emotag_worker.observability.telemetry import Telemetry

LABELS = 3


def entry(value: float = 0.5) -> Entry:
    return Entry(quantize(np.full(LABELS, value, np.float32)), truncated=True, tokens=9, unknown=1)


def long_entry(windows: int) -> Entry:
    """An entry of 8 + 10 bytes per window; one without windows has 14 bytes, and the cache 42."""
    parts = tuple(WindowEntry(n, n + 9, quantize(np.full(LABELS, 0.5, np.float32))) for n in range(windows))
    return Entry(NO_PROBABILITIES, truncated=False, tokens=9, unknown=1, windows=parts)


class Behind:
    """A cache that records its calls."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.asked: list[str] = []
        self.closed = False

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        self.asked += keys
        return {key: self.entries[key] for key in keys if key in self.entries}

    def remember(self, entries: Mapping[str, Entry]) -> None:
        self.entries |= entries

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def cache(behind: Behind, telemetry: Telemetry) -> MemoryCache:
    return MemoryCache(behind, most=3, labels=LABELS, telemetry=telemetry)


def lookups(telemetry: Telemetry) -> Mapping[str, float]:
    found = {
        name: telemetry.metrics.registry.get_sample_value("emotag_cache_lookups_total", {"outcome": name})
        for name in ("memory", "hit", "miss")
    }
    return {name: count for name, count in found.items() if count}


def test_a_remembered_entry_is_found_unchanged_without_a_call(
    cache: MemoryCache, behind: Behind, telemetry: Telemetry
) -> None:
    cache.remember({"a": entry(0.1), "b": entry(0.9)})
    found = cache.lookup(["b", "a"])
    assert [] == behind.asked
    for key, value in (("a", 0.1), ("b", 0.9)):
        assert np.array_equal(entry(value).probabilities_K, found[key].probabilities_K)
        assert (True, 9, 1) == (found[key].truncated, found[key].tokens, found[key].unknown)
    assert {"memory": 2} == lookups(telemetry)


def test_only_what_is_missing_is_looked_up_behind_and_then_kept(cache: MemoryCache, behind: Behind) -> None:
    behind.entries["b"] = entry()
    cache.remember({"a": entry()})
    assert {"a", "b"} == set(cache.lookup(["a", "b", "c"]))
    assert ["b", "c"] == behind.asked
    cache.lookup(["a", "b"])
    assert ["b", "c"] == behind.asked


def test_computed_entries_are_written_behind_too(cache: MemoryCache, behind: Behind) -> None:
    cache.remember({"a": entry()})
    cache.remember({})
    assert ["a"] == list(behind.entries)


def test_the_entry_that_was_not_used_for_the_longest_time_is_dropped(cache: MemoryCache) -> None:
    for key in "abc":
        cache.remember({key: entry()})
    cache.lookup(["a"])
    cache.remember({"d": entry()})
    assert {"a", "c", "d"} == set(cache.lookup(["a", "c", "d"])), "b was the oldest"
    cache.remember({key: entry() for key in "efghij"})
    assert {"h", "i", "j"} == set(cache._bodies), "a batch that is larger than the cache leaves its last entries"


def test_the_entry_of_a_long_text_takes_the_place_of_several(cache: MemoryCache) -> None:
    """So a stream of long texts does not fill the memory."""
    cache.remember({key: entry() for key in "abc"})
    cache.remember({"long": long_entry(3)})
    assert {"long"} == set(cache._bodies), "38 of 42 bytes"
    cache.remember({"long": long_entry(3), "d": entry()})
    assert {"d"} == set(cache._bodies)
    cache.remember({key: entry() for key in "efg"})
    cache.remember({key: entry() for key in "efg"})
    assert {"e", "f", "g"} == set(cache._bodies), "an entry that is written again is counted once"
    cache.remember({"huge": long_entry(4)})
    assert {} == cache._bodies


def test_without_a_cache_behind_misses_are_counted(telemetry: Telemetry) -> None:
    cache = MemoryCache(None, most=3, labels=LABELS, telemetry=telemetry)
    assert {} == cache.lookup(["a", "b"])
    cache.remember({"a": entry()})
    assert {"a"} == set(cache.lookup(["a", "b"]))
    cache.close()
    assert {"memory": 1, "miss": 3} == lookups(telemetry)


def test_closing_closes_the_cache_behind(cache: MemoryCache, behind: Behind) -> None:
    cache.close()
    assert behind.closed
