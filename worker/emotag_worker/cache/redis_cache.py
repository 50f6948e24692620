"""The cache of results in Redis. A failure makes the worker slower, never wrong, and never blocks it.

Lookups and writes run in a thread each, on a connection each, so that a lookup never waits for a write. The worker
waits for a lookup no longer than the timeout, whatever the cause of the delay: a paused server, slow name resolution, a
reply that arrives byte by byte. After a failure, a circuit breaker skips the cache for a pause that grows with each
further failure.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from emotag_model.daemon_threads import Background
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import CacheSettings

from .address import parse_address
from .breaker import Breaker
from .entry import Codec, Entry, Seal, unpack
from .failures import explain_error
from .servers import create_servers

JITTER = 0.1
"""Entries expire earlier by a random share up to this one, so that entries written together expire apart."""

BACKLOG = 4
"""Most batches that wait to be written. Without a limit, a slow server would fill the worker's memory."""

WRITE_TIMEOUT_S = 1.0
"""Longest wait for the replies to a part of a batch. Nobody waits for a write, so a slow one is no failure yet."""

BEHIND = "Redis stores entries more slowly than the worker computes them"


class NoCache:
    """A cache that is always empty."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        return {}

    def remember(self, entries: Mapping[str, Entry]) -> None:
        pass

    def close(self) -> None:
        pass


class RedisCache:
    """Entries in Redis or Valkey: one call reads the keys of a batch, one call writes its entries.

    Args:
        settings: must have a `url`.
        labels: number of probabilities per entry.
        reasons: entries have the spans of each label.

    Raises:
        SettingsError: redis-py does not support the URL.
    """

    def __init__(self, settings: CacheSettings, *, labels: int, telemetry: Telemetry, reasons: bool = False) -> None:
        if settings.url is None:
            raise ValueError("a RedisCache needs a URL")
        address = parse_address(settings.url.get_secret_value())
        self._timeout_s = settings.timeout_ms / 1000
        self._ttl_ms = settings.ttl_s * 1000
        self._codec = Codec(labels, reasons=reasons)
        self._seal = Seal(settings.hash_secret.get_secret_value() if settings.hash_secret else None)
        self._telemetry = telemetry
        self._breaker = Breaker()
        self._breaker_lock = threading.Lock()
        self._servers = create_servers(address, self._timeout_s)
        self._write_servers = create_servers(address, max(self._timeout_s, WRITE_TIMEOUT_S))
        self._address = str(address)
        self._reader, self._writer = Background("cache lookups"), Background("cache writes")
        telemetry.report_cache_opening()
        self._last_lookup: Future[list[bytes | None]] | None = None
        self._random = np.random.default_rng()
        self._writes: deque[Future[None]] = deque()

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that exist; none if Redis does not respond in time."""
        if not keys:
            return {}
        if self._must_skip():
            self._telemetry.report_cache_lookup(skipped=len(keys))
            return {}
        reading = self._reader.submit(self._servers.read, keys)
        self._last_lookup = reading
        try:
            values = reading.result(self._timeout_s)
            # A proxy in front of several servers may return an error in place of one value: it counts as a miss.
            found = {key: value for key, value in zip(keys, values, strict=True) if isinstance(value, bytes)}
        except Exception as error:  # noqa: BLE001  (whatever the client raises, the stream continues)
            reading.cancel()
            self._telemetry.report_cache_lookup(failed=len(keys))
            self._note_failure(error)
            return {}
        self._note_success()
        valid = unpack(found, seal=self._seal, codec=self._codec)
        self._telemetry.report_corrupt_entries(len(found) - len(valid))
        self._telemetry.report_cache_lookup(hit=len(valid), miss=len(keys) - len(valid))
        return valid

    def remember(self, entries: Mapping[str, Entry]) -> None:
        """Write entries in the background. If Redis does not accept them, they are lost.

        After a failure, nothing is written until a lookup succeeds: one call at a time tests whether Redis is back.
        """
        if not entries or self._breaker.failures:
            return
        while self._writes and self._writes[0].done():
            self._writes.popleft()
        if len(self._writes) >= BACKLOG:
            self._telemetry.report_cache_refusal(len(entries), "Backlog", BEHIND)
            return
        self._writes.append(self._writer.submit(self._write, dict(entries)))

    def close(self) -> None:
        """Wait for the last writes, no longer than the timeout of a write."""
        written = self._writer.close(max(self._timeout_s, WRITE_TIMEOUT_S))
        if self._reader.close(self._timeout_s) and written:
            self._servers.close()
            self._write_servers.close()

    def _must_skip(self) -> bool:
        """Return True if the breaker is open, or if the thread is still blocked in a lookup that timed out."""
        with self._breaker_lock:
            stuck = self._breaker.failures > 0 and self._last_lookup is not None and not self._last_lookup.done()
            return self._breaker.is_open() or stuck

    def _write(self, entries: Mapping[str, Entry]) -> None:
        try:
            values = self._seal.seal(list(entries), self._codec.encode(list(entries.values())))
            lives_ms = self._draw_lives_ms(len(values))
            refused = self._write_servers.write(dict(zip(entries, zip(values, lives_ms, strict=True), strict=True)))
        except Exception as error:  # noqa: BLE001  (as in lookup)
            self._note_failure(error)
            return
        if refused:  # full or read-only: reads still work, so the breaker stays closed
            self._telemetry.report_cache_refusal(len(refused), *explain_error(refused[0]))

    def _draw_lives_ms(self, entries: int) -> list[int]:
        shares = 1 - JITTER * self._random.random(entries)
        lives_ms: list[int] = np.maximum(1, np.rint(self._ttl_ms * shares)).astype(np.int64).tolist()
        return lives_ms

    def _note_failure(self, error: BaseException) -> None:
        with self._breaker_lock:
            pause_s = self._breaker.record_failure()
        kind, reason = explain_error(error)
        self._telemetry.report_cache_failure(self._address, kind, pause_s, reason)

    def _note_success(self) -> None:
        with self._breaker_lock:
            recovered = self._breaker.record_success()
        if recovered:
            self._telemetry.report_cache_recovery()
