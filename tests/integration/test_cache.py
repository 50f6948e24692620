"""The cache on a real server that works, pauses, dies, fills up and contains corrupt entries."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from emotag_worker.cache.entry import Entry, quantize
from emotag_worker.cache.redis_cache import RedisCache
from emotag_worker.local import LocalValkey
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import CacheSettings

LABELS = 28


def entry(seed: int = 0) -> Entry:
    return Entry(quantize(np.random.default_rng(seed).random(LABELS, dtype=np.float32)), truncated=False)


def open_cache(url: str, telemetry: Telemetry, *, timeout_ms: int = 10_000, secret: str | None = None) -> RedisCache:
    """Open a cache that waits longer than the setting allows: other tests share the cores and may stop a thread for a
    second, which is no failure of the cache."""
    settings = CacheSettings.model_validate({"url": url, "ttl_s": 100, "hash_secret": secret})
    return RedisCache(settings.model_copy(update={"timeout_ms": timeout_ms}), labels=LABELS, telemetry=telemetry)


def remember(cache: RedisCache, entries: Mapping[str, Entry]) -> None:
    """Write entries, and await the end."""
    cache.remember(entries)
    cache._writes[-1].result(10)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def cache(own_valkey: LocalValkey, telemetry: Telemetry) -> Iterator[RedisCache]:
    with contextlib.closing(open_cache(own_valkey.url, telemetry)) as made:
        yield made


@pytest.fixture
def client(own_valkey: LocalValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_valkey.url) as connection:
        yield connection


def errors(telemetry: Telemetry) -> dict[str, float]:
    """Return the number of cache errors so far, by kind."""
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(telemetry.render_metrics("")[0].decode())
        for sample in family.samples
        if sample.name == "emotag_cache_errors_total"
    }


def test_what_is_remembered_is_found_and_lives_as_long_as_was_asked(cache: RedisCache, client: redis.Redis) -> None:
    """One lookup finds all entries; the time to live is the setting, minus a tenth at most."""
    entries = {f"emotag:m:{number}": entry(number) for number in range(40)}
    remember(cache, entries)
    found = cache.lookup([*entries, "emotag:m:absent"])
    assert set(entries) == set(found)
    for key, kept in entries.items():
        assert np.array_equal(kept.probabilities_K, found[key].probabilities_K)
    lives = [client.pttl(key) for key in entries]
    assert all(89_000 < life <= 100_000 for life in lives)
    assert len(set(lives)) > 20, "entries written together must not expire together"


def test_a_batch_costs_one_round_trip_to_read_and_one_to_write(cache: RedisCache, client: redis.Redis) -> None:
    remember(cache, {f"k{number}": entry(number) for number in range(100)})
    cache.lookup([f"k{number}" for number in range(100)])
    stats = client.info("commandstats")
    assert 1 == stats["cmdstat_mget"]["calls"]
    assert 100 == stats["cmdstat_set"]["calls"]
    assert "cmdstat_get" not in stats


def test_rubbish_is_no_answer(cache: RedisCache, client: redis.Redis) -> None:
    client.set("k", b"rubbish")
    client.lpush("l", "a list")
    assert {} == cache.lookup(["k", "l"])


def test_lookups_do_not_wait_for_writes(cache: RedisCache) -> None:
    """Writing these entries takes seconds, and the lookups milliseconds."""
    remember(cache, {"k": entry()})
    assert {"k"} == set(cache.lookup(["k"]))
    one = entry()
    for batch in range(3):
        cache.remember({f"{batch}-{number}": one for number in range(80_000)})
    found = [cache.lookup(["k"]) for _ in range(5)]
    assert not cache._writes[-1].done()
    assert [{"k"}] * 5 == [set(each) for each in found]


@pytest.mark.parametrize("secret", [None, "another"])
def test_a_foreign_writer_without_the_secret_changes_no_answer(
    own_valkey: LocalValkey, telemetry: Telemetry, secret: str | None
) -> None:
    """Not even with a valid entry of another text."""
    with (
        contextlib.closing(open_cache(own_valkey.url, telemetry, secret="ours")) as ours,
        contextlib.closing(open_cache(own_valkey.url, telemetry, secret=secret)) as foreign,
    ):
        remember(ours, {"a": entry(1), "b": entry(2)})
        assert {"a", "b"} == set(ours.lookup(["a", "b"]))
        remember(foreign, {"a": entry(3)})
        assert {"a"} == set(foreign.lookup(["a"]))
        with redis.Redis.from_url(own_valkey.url) as client:
            client.set("c", client.get("b") or b"")
        assert {"b"} == set(ours.lookup(["a", "b", "c"]))


def test_a_paused_server_costs_one_timeout_and_then_nothing(own_valkey: LocalValkey, telemetry: Telemetry) -> None:
    with contextlib.closing(open_cache(own_valkey.url, telemetry, timeout_ms=1000)) as cache:
        remember(cache, {"k": entry()})
        cache.lookup(["k"])  # connects
        own_valkey.pause()
        began = time.monotonic()
        assert {} == cache.lookup(["k"])
        assert time.monotonic() - began < 2.5
        began = time.monotonic()
        for _ in range(20):
            cache.remember({"k": entry()})
            assert {} == cache.lookup(["k"])
        assert time.monotonic() - began < 5  # without the breaker: 40 timeouts of 1 s
        own_valkey.resume()


def test_a_server_that_comes_back_is_used_again(cache: RedisCache, own_valkey: LocalValkey) -> None:
    own_valkey.kill()
    assert {} == cache.lookup(["k"])
    own_valkey.start()
    give_up_at = time.monotonic() + 15
    found: dict[str, Entry] = {}
    while not found and time.monotonic() < give_up_at:
        cache.remember({"k": entry()})
        found = cache.lookup(["k"])
        time.sleep(0.05)  # this awaits the breaker's clock
    assert {"k"} == set(found)


def test_a_full_server_still_answers_what_it_has(cache: RedisCache, client: redis.Redis, telemetry: Telemetry) -> None:
    """Refused writes are counted, and reads continue."""
    remember(cache, {"k": entry()})
    assert {"k"} == set(cache.lookup(["k"]))
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    remember(cache, {"l": entry(), "m": entry()})
    assert {"k"} == set(cache.lookup(["k", "l", "m"]))
    assert {"OutOfMemoryError": 2.0} == errors(telemetry)


def test_a_server_that_became_a_replica_is_still_read(
    cache: RedisCache, client: redis.Redis, telemetry: Telemetry
) -> None:
    """READONLY: reads work, and refused writes are counted."""
    remember(cache, {"k": entry()})
    assert {"k"} == set(cache.lookup(["k"]))
    client.replicaof("127.0.0.1", "1")
    remember(cache, {"l": entry()})
    assert {"k"} == set(cache.lookup(["k", "l"]))
    assert {"ReadOnlyError": 1.0} == errors(telemetry)
    client.replicaof("NO", "ONE")


@pytest.fixture
def refusing() -> Iterator[Callable[[bytes], int]]:
    """A server that returns one error for every command, for errors that a healthy server never returns."""
    listeners: list[socket.socket] = []

    def listen(line: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client, contextlib.suppress(OSError):
                        while client.recv(65_536):
                            client.sendall(line)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield listen
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    "line",
    [
        b"-LOADING Valkey is loading the dataset in memory\r\n",
        b"-MOVED 3999 127.0.0.1:6381\r\n",
        b"-CLUSTERDOWN Hash slot not served\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"$-9\r\nno such reply\r\n",
        b":7\r\n",
    ],
    ids=lambda line: line[1:8].decode(errors="replace").strip(),
)
def test_whatever_a_server_answers_is_no_error_of_the_stream(
    refusing: Callable[[bytes], int], telemetry: Telemetry, line: bytes
) -> None:
    """There is no entry, the error is counted, and then the breaker is open."""
    url = f"redis://127.0.0.1:{refusing(line)}/0"
    cache = RedisCache(CacheSettings.model_validate({"url": url}), labels=LABELS, telemetry=telemetry)
    assert {} == cache.lookup(["k"])
    cache.remember({"k": entry()})
    began = time.monotonic()
    assert {} == cache.lookup(["k"])
    assert time.monotonic() - began < 0.5
    assert sum(errors(telemetry).values()) >= 1
    cache.close()
