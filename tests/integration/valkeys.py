"""Valkey processes for the tests of the cache: the nodes of a cluster, and sentinels with a master and a replica."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import redis

from emotag_worker.local import LocalValkey
from emotag_worker.local.server import find_free_ports, run_server

SLOTS = 16_384
SERVICE = "cache"


class Node(LocalValkey):
    """A Valkey with more arguments."""

    bus_port = 0

    def __init__(self, folder: Path, *arguments: str, leading: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self._arguments, self._leading = arguments, leading

    @property
    def port(self) -> int:
        return self._port

    def connect(self) -> redis.Redis:
        return redis.Redis(port=self._port, socket_timeout=5)

    def is_ready(self) -> bool:
        if not self._leading:
            return super().is_ready()
        with contextlib.suppress(redis.RedisError), self.connect() as client:  # a sentinel does not know QUIT
            return bool(client.info("server")["process_id"] == self.pid)
        return False

    def _build_command(self) -> Sequence[str]:
        if self._leading:  # a sentinel reads and writes its configuration
            binary = super()._build_command()[0]
            return [binary, *self._leading, "--port", str(self._port), *self._arguments]
        return [*super()._build_command(), *self._arguments]


@contextlib.contextmanager
def run_cluster(folder: Path, *, masters: int = 3) -> Iterator[list[Node]]:
    """Run the masters of a cluster, which share the slots."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for number in range(masters):
            (bus_port,) = find_free_ports(1)  # by default the port plus 10,000, which outgoing connections may have
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus_port))
            node = Node(folder / str(number), *options)
            node.bus_port = bus_port
            stack.enter_context(run_server(node))
            nodes.append(node)
        for number, node in enumerate(nodes):
            with node.connect() as client:
                first, last = SLOTS * number // masters, SLOTS * (number + 1) // masters - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus_port)
        for node in nodes:
            wait_for(lambda node=node: _knows_all(node, masters))  # type: ignore[misc]
        yield nodes


@contextlib.contextmanager
def run_sentinel(folder: Path) -> Iterator[tuple[Node, Node, Node]]:
    """Run a master, its replica, and a sentinel that promotes the replica a second after the master has died."""
    with contextlib.ExitStack() as stack:
        master, replica = Node(folder / "master"), Node(folder / "replica", "--repl-diskless-sync-delay", "0")
        for node in (master, replica):
            stack.enter_context(run_server(node))
        with replica.connect() as client:
            client.replicaof("127.0.0.1", str(master.port))
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        (folder / "sentinel").mkdir()
        configuration = folder / "sentinel" / "sentinel.conf"
        configuration.write_text(
            f"bind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 5000\n",
            encoding="utf-8",
        )
        sentinel = Node(folder / "sentinel", leading=(str(configuration), "--sentinel"))
        stack.enter_context(run_server(sentinel))
        with sentinel.connect() as client:
            wait_for(lambda: client.sentinel_masters()[SERVICE]["num-slaves"] == 1)
        yield master, replica, sentinel


def move_slots(begin: Node, end: Node, slots: Iterable[int]) -> None:
    """Give slots without keys to another node, in the steps of `valkey-cli --cluster reshard`.

    Only a node that imports a slot raises its epoch when it receives the slot. Without that, the gossip of the old
    owner may take a slot back while the old owner already gives it away, and each redirects clients to the other.
    """
    with begin.connect() as source, end.connect() as target:
        old, new = source.execute_command("CLUSTER", "MYID"), target.execute_command("CLUSTER", "MYID")
        for slot in slots:
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", old)
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", new)
            target.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new)
            source.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new)


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Wait until the condition holds: there is no event to wait for."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, "gave up waiting"
        time.sleep(0.05)


def _knows_all(node: Node, masters: int) -> bool:
    with node.connect() as client:
        info: dict[str, str] = client.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_size"] == str(masters)
