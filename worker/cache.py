"""Answers to repeats, from Redis. Slower without it, never wrong, never stuck.

Every round trip runs in a thread of its own and is waited for no longer than the timeout, whatever holds it up: a
paused server, a name that does not resolve, a reply that comes byte by byte. After a failure a breaker keeps the
cache out of the way for a while that grows.
"""

import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from model.background import Background

from .entry import Entry, pack, unpack
from .settings import CacheSettings
from .telemetry import Telemetry

CREDENTIALS = "user or password are wrong; check EMOTAG_CACHE__URL"
CERTIFICATE = "check ssl_ca_certs in EMOTAG_CACHE__URL, and that the certificate is valid and for that host"
HANDSHAKE = "TLS fails; check that both sides want it, and what ssl_ options EMOTAG_CACHE__URL has"
PERMISSIONS = "its ACL does not let the user do what a worker does; docs/security.md says what that is"

JITTER = 0.1
"""An entry's life is up to this share shorter, so that entries written together do not expire together."""


class Cache(Protocol):
    """What the pipeline asks of a cache."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries there are, by key."""

    def remember(self, entries: Mapping[str, Entry]) -> None:
        """Keep these; returns at once."""

    def close(self) -> None:
        """Finish what is under way, within the timeout."""


class NoCache:
    """A cache that knows nothing."""

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        return {}

    def remember(self, entries: Mapping[str, Entry]) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Breaker:
    """Lets calls through until one fails; then none for a while that doubles with every further failure.

    Attributes:
        shortest_s, longest_s: the first and the longest such while. The longest bounds both what a broken cache costs
            (one timeout each while) and how late a repaired one is noticed.
    """

    shortest_s: float = 0.25
    longest_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    _closed_again_at: float = 0.0

    def is_open(self) -> bool:
        """Whether calls are to be left out for now."""
        return self.clock() < self._closed_again_at

    def failed(self) -> float:
        """Open; returns for how many seconds."""
        pause_s = min(self.longest_s, self.shortest_s * 2.0**self.failures)
        self.failures += 1
        self._closed_again_at = self.clock() + pause_s
        return pause_s

    def succeeded(self) -> bool:
        """Close; returns whether it was open before."""
        recovered = self.failures > 0
        self.failures = 0
        self._closed_again_at = 0.0
        return recovered


class RedisCache:
    """Entries in Redis or Valkey: one round trip to read a step's keys, one to write a step's entries.

    Args:
        settings: of which `url` is set.
        labels: probabilities per entry.

    Raises:
        ValueError: the URL is not one redis-py knows.
    """

    def __init__(self, settings: CacheSettings, *, labels: int, telemetry: Telemetry) -> None:
        if settings.url is None:
            raise ValueError("a RedisCache needs a URL")
        self._timeout_s = settings.timeout_ms / 1000
        self._ttl_s = settings.ttl_s
        self._labels = labels
        self._telemetry = telemetry
        self._breaker = Breaker()
        self._breaker_lock = threading.Lock()
        self._client = redis.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),  # the breaker decides when to try again
        )
        self._thread = Background("cache")
        telemetry.cache_opened()
        self._under_way: Future[None] | Future[list[bytes | None]] | None = None

    def lookup(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries there are; none where Redis does not answer in time."""
        if not keys:
            return {}
        if self._closed_to_calls():
            self._telemetry.cache_looked_up(skipped=len(keys))
            return {}
        reading = self._thread.submit(self._read, keys)
        self._under_way = reading
        try:
            values = reading.result(self._timeout_s)
        except Exception as error:  # noqa: BLE001  (whatever the client raises, the stream goes on without it)
            reading.cancel()
            self._telemetry.cache_looked_up(failed=len(keys))
            self._failed(error)
            return {}
        self._succeeded()
        there = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        entries = dict(zip(there, unpack(list(there.values()), labels=self._labels), strict=True))
        good = {key: entry for key, entry in entries.items() if entry is not None}
        self._telemetry.cache_rubbish(len(entries) - len(good))
        self._telemetry.cache_looked_up(hit=len(good), miss=len(keys) - len(good))
        return good

    def remember(self, entries: Mapping[str, Entry]) -> None:
        """Write these in the background; they are lost where Redis does not take them."""
        if entries and not self._closed_to_calls():
            self._under_way = self._thread.submit(self._write, dict(entries))

    def close(self) -> None:
        """Wait for the last write, within the timeout."""
        if self._thread.close(self._timeout_s):
            self._client.close()

    def _closed_to_calls(self) -> bool:
        """Whether the breaker is open, or the thread still hangs in a call that was given up."""
        with self._breaker_lock:
            stuck = self._breaker.failures > 0 and self._under_way is not None and not self._under_way.done()
            return self._breaker.is_open() or stuck

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._client.mget(keys))

    def _write(self, entries: Mapping[str, Entry]) -> None:
        try:
            pipeline = self._client.pipeline(transaction=False)
            for key, entry in entries.items():
                life_s = self._ttl_s * (1 - JITTER * random.random())  # nosec B311  # noqa: S311  (no secret hangs on it)
                pipeline.set(key, pack(entry), px=max(1, round(life_s * 1000)))
            results = pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001  (as in lookup)
            self._failed(error)
            return
        self._succeeded()
        refused = [result for result in results if isinstance(result, Exception)]
        if refused:  # full, or read-only: reading still works, so the breaker stays closed
            self._telemetry.cache_refused(len(refused), *explained(refused[0]))

    def _failed(self, error: BaseException) -> None:
        with self._breaker_lock:
            pause_s = self._breaker.failed()
        kind, why = explained(error)
        self._telemetry.cache_failed(kind, pause_s, why)

    def _succeeded(self) -> None:
        with self._breaker_lock:
            recovered = self._breaker.succeeded()
        if recovered:
            self._telemetry.cache_recovered()


def explained(error: BaseException) -> tuple[str, str]:
    """The kind of an error and, where it will not pass by itself, what it means: nothing of the client's own message,
    which may carry the address, and with it the password.
    """
    beneath: BaseException | None = error
    while beneath is not None:  # the client wraps what TLS says in a ConnectionError
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return type(beneath).__name__, f"{beneath.verify_message}; {CERTIFICATE}"
        if isinstance(beneath, ssl.SSLError):
            return type(beneath).__name__, HANDSHAKE
        beneath = beneath.__cause__ or beneath.__context__
    if isinstance(error, redis.AuthenticationError):
        return type(error).__name__, CREDENTIALS
    if isinstance(error, redis.exceptions.NoPermissionError):
        return type(error).__name__, PERMISSIONS
    return type(error).__name__, ""
