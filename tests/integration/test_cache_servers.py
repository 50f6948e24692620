"""The cache on a cluster, and on a master that sentinels replace."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from emotag_worker.cache.entry import Entry, quantize
from emotag_worker.cache.redis_cache import RedisCache
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import CacheSettings

from .valkeys import SERVICE, Node, move_slots, run_cluster, run_sentinel, wait_for

LABELS = 28
RULES = ("on", ">hunter2", "resetchannels", "-@all", "~emotag:*", "+set", "+client|setinfo")
"""The permissions of a worker's user, without those to read."""


def entry(seed: int = 0) -> Entry:
    return Entry(quantize(np.random.default_rng(seed).random(LABELS, dtype=np.float32)), truncated=False)


ENTRIES = {f"emotag:m:{number}": entry(number) for number in range(2000)}


def open_cache(url: str) -> RedisCache:
    settings = CacheSettings.model_validate({"url": url, "timeout_ms": 1000, "hash_secret": "of the tests"})
    return RedisCache(settings, labels=LABELS, telemetry=Telemetry())


def fill(cache: RedisCache, *, timeout_s: float = 60.0) -> None:
    """Write the entries until a lookup finds all, as the batches of a stream do while servers come and go."""
    give_up_at = time.monotonic() + timeout_s
    found: dict[str, Entry] = {}
    while len(found) < len(ENTRIES):
        assert time.monotonic() < give_up_at, f"found {len(found)} entries"
        found = cache.lookup(list(ENTRIES))
        cache.remember({key: each for key, each in ENTRIES.items() if key not in found})
        time.sleep(0.05)  # this awaits the breaker's clock
    assert all(np.array_equal(ENTRIES[key].probabilities_K, each.probabilities_K) for key, each in found.items())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Node]]:
    with run_cluster(tmp_path) as nodes:
        yield nodes


@pytest.mark.timeout(180)
def test_the_entries_of_a_batch_are_spread_over_the_nodes_of_a_cluster(cluster: list[Node]) -> None:
    """Also by a user with only the permissions of docs/security.md."""
    for node in cluster:
        with node.connect() as client:
            client.execute_command("ACL", "SETUSER", "emotag", *RULES, "+get", "+cluster|slots", "+command")
    cache = open_cache(f"redis+cluster://emotag:hunter2@127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}")
    fill(cache)
    sizes = []
    for node in cluster:
        with node.connect() as client:
            sizes.append(client.dbsize())
            assert [] == client.acl_log()
    assert len(ENTRIES) == sum(sizes)
    assert min(sizes) > len(ENTRIES) / 6
    cache.close()


@pytest.mark.timeout(180)
def test_slots_that_move_to_another_node_are_found_there(cluster: list[Node]) -> None:
    cache = open_cache(f"redis+cluster://127.0.0.1:{cluster[2].port}")
    fill(cache)
    with cluster[0].connect() as client:
        client.flushall()
    move_slots(cluster[0], cluster[1], range(200))
    fill(cache)
    cache.close()


@pytest.mark.timeout(180)
def test_after_a_failover_the_new_master_is_used(tmp_path: Path) -> None:
    with run_sentinel(tmp_path) as (master, replica, sentinel):
        cache = open_cache(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/{SERVICE}/0")
        fill(cache)
        master.kill()
        with replica.connect() as client:
            wait_for(lambda: client.info("replication")["role"] == "master")
            client.flushall()
            fill(cache)
            assert len(ENTRIES) == client.dbsize()
        cache.close()


def test_a_node_of_a_cluster_is_not_used_as_one_server(cluster: list[Node]) -> None:
    """The log names the other form of the URL."""
    from structlog.testing import capture_logs

    cache = open_cache(f"redis://127.0.0.1:{cluster[0].port}")
    with capture_logs() as lines:
        assert {} == cache.lookup([f"emotag:m:{number}" for number in range(100)])
    assert lines[0]["kind"] in {redis.exceptions.ClusterCrossSlotError.__name__, redis.exceptions.MovedError.__name__}
    assert "redis+cluster://" in lines[0]["reason"]
    cache.close()
