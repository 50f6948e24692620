"""The cache in the worker's own memory, in front of Redis or without it."""

from collections.abc import Mapping, Sequence
from itertools import islice

from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.protocols import Cache

from .entry import Codec, Entry


class MemoryCache:
    """The entries that were used last. Its calls are made from one thread.

    An entry is stored as in Redis, in `codec.size` bytes: 64 for 28 labels, and 568 with reasons. Its key and its place
    in the table take about 240 more. The entry of a long text takes the place of several: all entries together have at
    most `most` x `codec.size` bytes.

    Args:
        behind: the cache that is asked for the other entries; None if there is none.
        most: the largest number of entries.
        labels: number of probabilities per entry.
        reasons: entries have the spans of each label, and take more memory.
    """

    def __init__(
        self, behind: Cache | None, *, most: int, labels: int, telemetry: Telemetry, reasons: bool = False
    ) -> None:
        self._behind = behind
        self._most = most
        self._codec = Codec(labels, reasons=reasons)
        self._telemetry = telemetry
        self._bodies: dict[str, bytes] = {}
        """By cache key, the one used last at the end."""
        self._bytes = 0

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that exist, here or behind."""
        bodies = self._bodies
        hits = [key for key in keys if key in bodies]
        found = dict(zip(hits, self._use(hits), strict=True)) if hits else {}
        if found:
            self._telemetry.report_cache_lookup(memory=len(found))
        if len(found) < len(keys):
            found |= self._look_behind([key for key in keys if key not in found] if found else keys)
        return found

    def remember(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries here and behind. The entries that were not used for the longest time are dropped."""
        if entries:
            self._keep(entries)
            if self._behind is not None:
                self._behind.remember(entries)

    def close(self) -> None:
        """Close the cache behind."""
        if self._behind is not None:
            self._behind.close()

    def _use(self, keys: Sequence[str]) -> list[Entry]:
        """Return the entries of keys that are here, and move them to the end of the table."""
        bodies = [self._bodies.pop(key) for key in keys]
        self._bodies.update(zip(keys, bodies, strict=True))
        return self._codec.decode(bodies)

    def _look_behind(self, keys: Sequence[str]) -> dict[str, Entry]:
        if self._behind is None:
            self._telemetry.report_cache_lookup(miss=len(keys))
            return {}
        found = self._behind.lookup(keys)
        if found:
            self._keep(found)
        return found

    def _keep(self, entries: Mapping[str, Entry]) -> None:
        bodies = self._bodies
        encoded = self._codec.encode(list(entries.values()))
        self._bytes += sum(map(len, encoded)) - sum([len(bodies[key]) for key in entries if key in bodies])
        bodies.update(zip(entries, encoded, strict=True))
        # Every entry has at least `size` bytes, so this many are enough, and fewer if some have windows.
        size, limit = self._codec.size, self._most * self._codec.size
        for key in list(islice(bodies, max(0, -(-(self._bytes - limit) // size)))):
            if self._bytes <= limit:
                break
            self._bytes -= len(bodies.pop(key))
