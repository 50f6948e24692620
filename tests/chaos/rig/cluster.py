"""Three Apache Kafka nodes on loopback: replication 3, at least two in sync, with proxies between them and workers."""

import contextlib
import functools
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from confluent_kafka import Consumer

from emotag_worker.errors import LocalError
from emotag_worker.local import LocalKafka
from emotag_worker.local.kafka import generate_id
from emotag_worker.local.server import START_S, find_free_ports
from tests.conftest import QUIET

from .proxy import Proxy

NODES = 3
OFFSETS_TOPIC = "__consumer_offsets"
PROPERTIES = {
    "inter.broker.listener.name": "PLAINTEXT",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


KAFKA_TIMINGS = {
    "group.initial.rebalance.delay.ms": "3000",
    "group.min.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "45000",
    "group.consumer.session.timeout.ms": "45000",
    "group.consumer.min.heartbeat.interval.ms": "5000",
    "group.consumer.heartbeat.interval.ms": "5000",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000",
}
"""Kafka's defaults for every time that `emotag local` shortens, so that tests notice a crash soon."""


class Cluster:
    """The nodes, and a proxy for each worker before each of them.

    Args:
        workers: the number of workers, each with its own listener on each node, so that a fault can hit it alone.
        timings: properties of the nodes, for example `KAFKA_TIMINGS`.

    Attributes:
        proxies: for each worker, its proxy before each node.
    """

    def __init__(self, folder: Path, *, workers: int, timings: Mapping[str, str]) -> None:
        identity = generate_id()
        self.nodes = [LocalKafka(folder / f"node-{n}", cluster_id=identity) for n in range(1, NODES + 1)]
        ports = [find_free_ports(NODES) for _ in range(workers)]
        self.proxies = [[Proxy(port) for port in own] for own in ports]
        voters = ",".join(f"{n}@127.0.0.1:{node.controller_port}" for n, node in enumerate(self.nodes, 1))
        names = ["CONTROLLER", "PLAINTEXT", *(f"WORKER{worker}" for worker in range(workers))]
        for at, node in enumerate(self.nodes):
            direct = f"PLAINTEXT://{node.bootstrap_servers}"
            inner = [f"WORKER{worker}://127.0.0.1:{own[at]}" for worker, own in enumerate(ports)]
            proxied = [f"WORKER{worker}://127.0.0.1:{own[at].port}" for worker, own in enumerate(self.proxies)]
            node.properties |= {
                **PROPERTIES,
                **timings,
                "node.id": str(at + 1),
                "controller.quorum.voters": voters,
                "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
                "listeners": ",".join([direct, *inner, f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
                "advertised.listeners": ",".join([direct, *proxied]),
            }

    @property
    def bootstrap_servers(self) -> str:
        """For the ledger, past the proxies."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    @property
    def proxied_servers(self) -> list[str]:
        """For each worker, its own addresses."""
        return [",".join(f"127.0.0.1:{proxy.port}" for proxy in own) for own in self.proxies]

    def find_coordinator(self, group: str) -> int:
        """Return the index of the node that coordinates a group.

        Raises:
            KafkaException: no node answers.
        """
        client = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "finder"}, logger=QUIET)
        try:
            partitions = client.list_topics(OFFSETS_TOPIC, timeout=5).topics[OFFSETS_TOPIC].partitions
        finally:
            client.close()
        # Kafka takes Java's hash of the group's name.
        hashed = functools.reduce(lambda found, letter: (31 * found + ord(letter)) & 0xFFFFFFFF, group, 0)
        signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
        return int(partitions[abs(signed) % len(partitions)].leader) - 1

    def start(self) -> None:
        """Start all nodes at once: none responds before two are running."""
        for node in self.nodes:
            node.prepare()
            node.launch()
        await_answers(self.nodes)

    def close(self) -> None:
        """End them."""
        for proxy in itertools.chain(*self.proxies):
            proxy.close()
        for node in self.nodes:
            node.kill()
            node.close()


def await_answers(nodes: Sequence[LocalKafka], patience_s: float = 2 * START_S) -> None:
    """Wait until each of them responds.

    Raises:
        LocalError: one does not; the error contains the end of its log.
    """
    give_up_at = time.monotonic() + patience_s
    for node in nodes:
        while not node.is_ready():
            if time.monotonic() > give_up_at:
                raise LocalError(f"a node does not answer; its log ends with:\n{node.read_log_tail()}")
            time.sleep(0.2)  # only the port itself can be awaited


@contextlib.contextmanager
def cluster(folder: Path, *, workers: int = 1, timings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Cluster]:
    """Three nodes for the length of a `with` block. Arguments are those of `Cluster`."""
    made = Cluster(folder, workers=workers, timings=timings)
    try:
        made.start()
        yield made
    finally:
        made.close()
