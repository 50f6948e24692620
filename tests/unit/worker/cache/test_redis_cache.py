"""Calls to the cache: when they are made, what a failure causes, and how errors are explained."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import pytest
import redis
from pydantic import SecretStr
from structlog.testing import capture_logs

from emotag_worker.cache.entry import Codec, Entry, Seal, quantize
from emotag_worker.cache.redis_cache import BACKLOG, NoCache, RedisCache
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import CacheSettings

LABELS = 3
ENTRY = Entry(quantize(np.array([0.25, 0.5, 0.75], np.float32)), truncated=False, tokens=9, unknown=1)
URL = "redis://:hunter2@127.0.0.1:1/0"  # no connection is made: the client is replaced


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeServers:
    """A dictionary whose calls can fail or block."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.calls = 0
        self.error: Exception | None = None
        self.reads_released, self.writes_released = threading.Event(), threading.Event()
        self.release()
        self.closed = False

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self._call(self.reads_released)
        return [self.values.get(key) for key in keys]

    def write(self, values: Mapping[str, tuple[bytes, int]]) -> list[redis.ResponseError]:
        self._call(self.writes_released)
        self.values |= {key: value for key, (value, _) in values.items()}
        return []

    def close(self) -> None:
        self.closed = True

    def release(self) -> None:
        self.reads_released.set()
        self.writes_released.set()

    def _call(self, released: threading.Event) -> None:
        self.calls += 1
        released.wait(10)
        if self.error is not None:
            raise self.error


def pack(key: str) -> bytes:
    (raw,) = Seal().seal([key], Codec(LABELS).encode([ENTRY]))
    return raw


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def servers() -> FakeServers:
    return FakeServers()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(telemetry: Telemetry, servers: FakeServers, clock: Clock) -> Iterator[RedisCache]:
    cache = RedisCache(
        CacheSettings.model_validate({"url": URL, "ttl_s": 100, "timeout_ms": 1000}), labels=LABELS, telemetry=telemetry
    )
    cache._servers = cache._write_servers = servers
    cache._breaker.clock = clock
    yield cache
    servers.release()
    cache.close()


def lookups(telemetry: Telemetry) -> Mapping[str, float]:
    found = {
        name: telemetry.metrics.registry.get_sample_value("emotag_cache_lookups_total", {"outcome": name})
        for name in ("hit", "miss", "failed", "skipped")
    }
    return {name: count for name, count in found.items() if count}


def test_without_keys_or_entries_there_is_no_call(cache: RedisCache, servers: FakeServers) -> None:
    assert {} == cache.lookup([])
    cache.remember({})
    cache.close()
    assert 0 == servers.calls


def test_corrupt_entries_count_as_misses(cache: RedisCache, servers: FakeServers, telemetry: Telemetry) -> None:
    servers.values = {"a": pack("a"), "b": pack("b")[:-1], "c": b"", "e": pack("a")}
    assert ["a"] == list(cache.lookup(["a", "b", "c", "d", "e"]))
    assert {"hit": 1, "miss": 4} == lookups(telemetry)
    assert 3 == telemetry.metrics.registry.get_sample_value("emotag_cache_corrupt_entries_total")


def test_an_error_in_place_of_a_value_counts_as_a_miss(
    cache: RedisCache, servers: FakeServers, telemetry: Telemetry
) -> None:
    """Proxies that divide a request among servers answer so if one of them fails."""
    servers.values = {"a": pack("a"), "b": cast("bytes", redis.ResponseError("no such server")), "c": cast("bytes", 5)}
    assert ["a"] == list(cache.lookup(["a", "b", "c"]))
    assert {"hit": 1, "miss": 2} == lookups(telemetry)


def test_after_a_failure_calls_are_skipped_until_the_pause_is_over(
    cache: RedisCache, servers: FakeServers, clock: Clock, telemetry: Telemetry
) -> None:
    servers.values, servers.error = {"a": pack("a")}, redis.ConnectionError("connecting to hunter2 failed")
    with capture_logs() as lines:
        assert {} == cache.lookup(["a"])
        servers.error = None
        assert {} == cache.lookup(["a"])
        cache.remember({"b": ENTRY})
        assert 1 == servers.calls
        clock.now += 0.25
        assert ["a"] == list(cache.lookup(["a"]))
    assert {"failed": 1, "skipped": 1, "hit": 1} == lookups(telemetry)
    assert ["cache_failed", "cache_recovered"] == [line["event"] for line in lines]
    assert "hunter2" not in str(lines)


def test_a_blocked_call_costs_one_timeout_and_is_not_followed_by_another(
    cache: RedisCache, servers: FakeServers, clock: Clock, telemetry: Telemetry
) -> None:
    """Even after the pause, while the thread is still blocked."""
    servers.values = {"a": pack("a")}
    servers.reads_released.clear()
    assert {} == cache.lookup(["a"])
    clock.now += 100
    assert {} == cache.lookup(["a"])
    assert 1 == servers.calls
    servers.release()
    assert cache._last_lookup is not None
    cache._last_lookup.exception(10)
    assert ["a"] == list(cache.lookup(["a"]))
    assert {"failed": 1, "skipped": 1, "hit": 1} == lookups(telemetry)


def test_a_lookup_does_not_wait_for_a_write(cache: RedisCache, servers: FakeServers, telemetry: Telemetry) -> None:
    servers.values = {"a": pack("a")}
    servers.writes_released.clear()
    cache.remember({"b": ENTRY})
    assert ["a"] == list(cache.lookup(["a"]))
    assert {"hit": 1} == lookups(telemetry)


def test_entries_are_dropped_while_too_many_batches_wait_to_be_written(cache: RedisCache, servers: FakeServers) -> None:
    servers.writes_released.clear()
    with capture_logs() as lines:
        for number in range(BACKLOG + 2):
            cache.remember({str(number): ENTRY})
    servers.release()
    cache.close()
    assert {str(number) for number in range(BACKLOG)} == set(servers.values)
    refused = [(line["event"], line["kind"], line["entries"]) for line in lines]
    assert [("cache_entries_refused", "Backlog", 1)] * 2 == refused


def test_after_a_failure_nothing_is_written_before_a_lookup_succeeds(
    cache: RedisCache, servers: FakeServers, clock: Clock
) -> None:
    servers.error = redis.ConnectionError()
    cache.lookup(["a"])
    servers.error = None
    clock.now += 0.25
    cache.remember({"b": ENTRY})
    cache.lookup(["a"])
    cache.remember({"c": ENTRY})
    cache.close()
    assert ["c"] == list(servers.values)


def test_close_finishes_the_last_write_and_closes_the_client(cache: RedisCache, servers: FakeServers) -> None:
    cache.remember({"a": ENTRY})
    cache.close()
    assert ["a"] == list(servers.values)
    assert servers.closed


def test_close_waits_no_longer_than_the_timeout(cache: RedisCache, servers: FakeServers) -> None:
    servers.writes_released.clear()
    cache.remember({"a": ENTRY})
    cache.close()
    assert not servers.closed


def test_without_a_cache_every_text_is_new() -> None:
    cache = NoCache()
    cache.remember({"a": ENTRY})
    assert {} == cache.lookup(["a"])
    cache.close()


def test_a_server_that_is_not_there_is_reported_with_its_address_and_the_cause() -> None:
    url = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    cache = RedisCache(CacheSettings(url=url, timeout_ms=1000), labels=LABELS, telemetry=Telemetry())
    with capture_logs() as lines:
        assert {} == cache.lookup(["a"])
    cache.close()
    line = str(lines)
    for part in ("127.0.0.1:1 (EMOTAG_CACHE__URL)", "connection refused; check that Redis is running"):
        assert part in line
    assert "hunter2" not in line
