"""The cache on a real server that works, pauses, dies, fills up and holds rubbish."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from worker.cache import RedisCache
from worker.entry import Entry, pack, quantise
from worker.local import LocalValkey
from worker.settings import CacheSettings
from worker.telemetry import Telemetry

LABELS = 28


def entry(seed: int = 0) -> Entry:
    return Entry(quantise(np.random.default_rng(seed).random(LABELS, dtype=np.float32)), truncated=False)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def cache(own_valkey: LocalValkey, telemetry: Telemetry) -> Iterator[RedisCache]:
    made = RedisCache(
        CacheSettings.model_validate({"url": own_valkey.url, "ttl_s": 100, "timeout_ms": 200}),
        labels=LABELS,
        telemetry=telemetry,
    )
    yield made
    made.close()


@pytest.fixture
def client(own_valkey: LocalValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_valkey.url) as connection:
        yield connection


def errors(telemetry: Telemetry) -> dict[str, float]:
    """Cache errors counted so far, by kind."""
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(telemetry.exposition("")[0].decode())
        for sample in family.samples
        if sample.name == "emotag_cache_errors_total"
    }


def test_what_is_remembered_is_found_and_lives_as_long_as_was_asked(cache: RedisCache, client: redis.Redis) -> None:
    """One lookup finds what is there; the time to live is asked for less a tenth at most."""
    entries = {f"emotag:m:{number}": entry(number) for number in range(40)}
    cache.remember(entries)
    found = cache.lookup([*entries, "emotag:m:absent"])
    assert set(entries) == set(found)
    for key, kept in entries.items():
        assert np.array_equal(kept.probabilities_K, found[key].probabilities_K)
    lives = [client.pttl(key) for key in entries]
    assert all(89_000 < life <= 100_000 for life in lives)
    assert len(set(lives)) > 20, "entries written together must not expire together"


def test_a_step_costs_one_round_trip_to_read_and_one_to_write(cache: RedisCache, client: redis.Redis) -> None:
    cache.remember({f"k{number}": entry(number) for number in range(100)})
    cache.lookup([f"k{number}" for number in range(100)])
    stats = client.info("commandstats")
    assert 1 == stats["cmdstat_mget"]["calls"]
    assert 100 == stats["cmdstat_set"]["calls"]
    assert "cmdstat_get" not in stats


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"rubbish",
        pack(entry())[:-1],
        pack(entry()) * 2,
        b"\x03" + pack(entry())[1:],
        pack(entry())[:20] + bytes([pack(entry())[20] ^ 4]) + pack(entry())[21:],
        pack(Entry(entry().probabilities_K[:27], truncated=False)),
        b"\x00" * 66,
    ],
    ids=["empty", "text", "cut short", "twice", "another version", "a bit turned", "another model's", "zeros"],
)
def test_rubbish_is_no_answer(cache: RedisCache, client: redis.Redis, rubbish: bytes) -> None:
    client.set("k", rubbish)
    client.lpush("l", "a list")
    assert {} == cache.lookup(["k", "l"])


def test_a_paused_server_costs_one_timeout_and_then_nothing(cache: RedisCache, own_valkey: LocalValkey) -> None:
    cache.remember({"k": entry()})
    cache.lookup(["k"])
    own_valkey.pause()
    began = time.monotonic()
    assert {} == cache.lookup(["k"])
    assert time.monotonic() - began < 0.5
    began = time.monotonic()
    for _ in range(20):
        cache.remember({"k": entry()})
        assert {} == cache.lookup(["k"])
    assert time.monotonic() - began < 0.5
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
        time.sleep(0.05)  # what is awaited is the breaker's clock
    assert {"k"} == set(found)


def test_a_full_server_still_answers_what_it_has(cache: RedisCache, client: redis.Redis, telemetry: Telemetry) -> None:
    """Writes that it refuses are counted; they do not keep anyone from reading."""
    cache.remember({"k": entry()})
    assert {"k"} == set(cache.lookup(["k"]))
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    cache.remember({"l": entry(), "m": entry()})
    assert {"k"} == set(cache.lookup(["k", "l", "m"]))
    assert {"OutOfMemoryError": 2.0} == errors(telemetry)


def test_a_server_that_became_a_replica_is_still_read(
    cache: RedisCache, client: redis.Redis, telemetry: Telemetry
) -> None:
    """READONLY: what it has it answers, what it refuses is counted."""
    cache.remember({"k": entry()})
    assert {"k"} == set(cache.lookup(["k"]))
    client.replicaof("127.0.0.1", "1")
    cache.remember({"l": entry()})
    assert {"k"} == set(cache.lookup(["k", "l"]))
    assert {"ReadOnlyError": 1.0} == errors(telemetry)
    client.replicaof("NO", "ONE")


@pytest.fixture
def refusing() -> Iterator[Callable[[bytes], int]]:
    """A server that answers every command with one error line: those that no healthy server can be brought to give."""
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
    """No entry, a counted error, and after that the breaker keeps it out of the way."""
    url = f"redis://127.0.0.1:{refusing(line)}/0"
    cache = RedisCache(CacheSettings.model_validate({"url": url}), labels=LABELS, telemetry=telemetry)
    assert {} == cache.lookup(["k"])
    cache.remember({"k": entry()})
    began = time.monotonic()
    assert {} == cache.lookup(["k"])
    assert time.monotonic() - began < 0.5
    assert sum(errors(telemetry).values()) >= 1
    cache.close()


def test_a_server_that_is_not_there_is_no_error() -> None:
    cache = RedisCache(
        CacheSettings.model_validate({"url": "redis://127.0.0.1:1/0"}), labels=LABELS, telemetry=Telemetry()
    )
    assert {} == cache.lookup(["k"])
    cache.remember({"k": entry()})
    cache.close()


def test_no_text_is_stored(cache: RedisCache, client: redis.Redis) -> None:
    """Keys are hashes, values are numbers."""
    from worker.fingerprint import Fingerprint

    key = Fingerprint(model="m", key="secret")("hunter2 is my secret text")
    cache.remember({key: entry()})
    cache.lookup([key])
    stored = b"".join([*client.keys("*"), client.get(key)])  # type: ignore[list-item]
    assert b"hunter2" not in stored
    assert 66 == client.strlen(key)
