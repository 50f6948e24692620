"""The servers that store entries: one Redis, the master of a Sentinel service, or a cluster.

This module builds commands itself, because redis-py's pipeline needs several times as much processor time. A lookup and
a write may run at the same time, each on its own connection.
"""

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import ConnectionPool
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from .address import CacheAddress, explain_address

CHUNK = 512
"""Commands that are sent before their replies are read. A socket's timeout covers one chunk, not a whole batch."""

Reply = bytes | redis.ResponseError | None


class Servers(Protocol):
    """The place of the entries. Every method may raise any error of redis-py, or of the network."""

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key."""

    def write(self, values: Mapping[str, tuple[bytes, int]]) -> list[redis.ResponseError]:
        """Store {key: (value, milliseconds to live)}; return the errors of the values that a server refused."""

    def close(self) -> None:
        """Close the connections."""


def create_servers(address: CacheAddress, timeout_s: float) -> Servers:
    """Return the servers at an address, without connecting.

    Raises:
        SettingsError: the URL has an option that redis-py does not have.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),  # the breaker decides when to try again
        **address.options,
    }
    try:
        pool = _create_sentinel_pool(address, options) if address.kind == "sentinel" else ConnectionPool(**options)
        pool.make_connection()  # the options are only read here; this does not connect
    except (ValueError, TypeError, redis.RedisError):  # redis-py's own message may contain a password
        raise explain_address() from None
    return Cluster(address, options) if address.kind == "cluster" else OneServer(pool)


class OneServer:
    """One server, or the master that sentinels name: a connection to a demoted master is replaced by a new one."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        (values,) = _exchange(self._pool, [_pack(b"MGET", *(key.encode() for key in keys))])
        if isinstance(values, redis.ResponseError):
            raise values
        return list(values)

    def write(self, values: Mapping[str, tuple[bytes, int]]) -> list[redis.ResponseError]:
        replies = _exchange(self._pool, _pack_writes(values))
        return [reply for reply in replies if isinstance(reply, redis.ResponseError)]

    def close(self) -> None:
        self._pool.close()


class Cluster:
    """The nodes of a cluster. Each key has one node, and a command has the keys of one slot only.

    After a failure, or if a slot has moved to another node, the nodes are read again from any node that was known.
    """

    def __init__(self, address: CacheAddress, options: Mapping[str, Any]) -> None:
        self._hosts = set(address.hosts)
        self._given = tuple(address.hosts)
        self._options = {name: value for name, value in options.items() if name not in ("retry", "db")}
        tls = self._options.pop("connection_class", None)
        self._options |= {"ssl": True} if tls is not None else {}
        self._client: RedisCluster | None = None
        self._lock = threading.Lock()

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        replies = self._call({key: _pack(b"GET", key.encode()) for key in keys})
        for reply in replies.values():
            if isinstance(reply, redis.exceptions.NoPermissionError):
                raise reply
        # A slot that is moving has no entries for the moment.
        return [None if isinstance(replies[key], redis.ResponseError) else replies[key] for key in keys]  # type: ignore[misc]

    def write(self, values: Mapping[str, tuple[bytes, int]]) -> list[redis.ResponseError]:
        replies = self._call(dict(zip(values, _pack_writes(values), strict=True)))
        return [reply for reply in replies.values() if isinstance(reply, redis.ResponseError)]

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _call(self, commands: Mapping[str, bytes]) -> dict[str, Reply]:
        """Send each command to the node of its key; return the replies by key."""
        client = self._connect()
        replies: dict[str, Reply] = {}
        try:
            for pool, keys in _group_by_node(client, commands).items():
                replies |= zip(keys, _exchange(pool, [commands[key] for key in keys]), strict=True)
        except Exception:
            self._forget(client)
            raise
        if any(isinstance(reply, redis.exceptions.MovedError) for reply in replies.values()):
            self._forget(client)
        return replies

    def _connect(self) -> RedisCluster:
        with self._lock:
            if self._client is None:
                others = self._hosts - set(self._given)
                nodes = [ClusterNode(host, port) for host, port in (*self._given, *others)]  # type: ignore[no-untyped-call]
                self._client = RedisCluster(
                    startup_nodes=nodes,
                    require_full_coverage=False,
                    retry=Retry(NoBackoff(), 0),
                    **self._options,
                )
                self._hosts |= {(node.host, node.port) for node in self._client.get_nodes()}  # type: ignore[no-untyped-call]
            return self._client

    def _forget(self, client: RedisCluster) -> None:
        with self._lock:
            if self._client is client:
                self._client = None


def _create_sentinel_pool(address: CacheAddress, options: dict[str, Any]) -> SentinelConnectionPool:
    tls = "connection_class" in options
    common = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    for_sentinels = {**common, **address.sentinel_options}
    if for_sentinels.pop("connection_class", None) is not None:
        for_sentinels["ssl"] = True
    options = {**options, "connection_class": SentinelManagedSSLConnection if tls else SentinelManagedConnection}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=for_sentinels)  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(address.service, sentinels, **options)  # type: ignore[no-untyped-call]


def _group_by_node(client: RedisCluster, keys: Iterable[str]) -> dict[ConnectionPool, list[str]]:
    pools: dict[ConnectionPool, list[str]] = {}
    for key in keys:
        node = client.nodes_manager.get_node_from_slot(key_slot(key.encode()))
        pools.setdefault(client.get_redis_connection(node).connection_pool, []).append(key)
    return pools


def _exchange(pool: ConnectionPool, commands: Sequence[bytes]) -> list[Any]:
    """Send packed commands over one connection, and return their replies; an error of the server is a reply, too."""
    connection: Any = pool.get_connection()
    replies: list[Any] = []
    try:
        for begin in range(0, len(commands), CHUNK):
            chunk = commands[begin : begin + CHUNK]
            connection.send_packed_command([b"".join(chunk)])
            replies += [_read_reply(connection) for _ in chunk]
    except BaseException:
        connection.disconnect()  # the remaining replies would be those of the next commands
        raise
    finally:
        pool.release(connection)
    return replies


def _read_reply(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except redis.ResponseError as error:
        return error


def _pack_writes(values: Mapping[str, tuple[bytes, int]]) -> list[bytes]:
    return [
        b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%d\r\n"
        % (len(raw := key.encode()), raw, len(value), value, len(str(live_ms)), live_ms)
        for key, (value, live_ms) in values.items()
    ]


def _pack(*parts: bytes) -> bytes:
    """Return a command in the protocol of Redis: the number of its parts, and each part after its length."""
    head = b"*%d\r\n" % len(parts)
    return b"".join(itertools.chain([head], (b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)))
