"""Three Apache Kafka nodes on loopback: replication 3, two in sync at least. Workers reach them through proxies."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.local import LocalError, LocalKafka
from worker.local.kafka import new_id
from worker.local.server import START_S, free_ports

from .proxy import Proxy

NODES = 3
PROPERTIES = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class Cluster:
    """The nodes, and a proxy before each."""

    def __init__(self, folder: Path) -> None:
        identity = new_id()
        self.nodes = [LocalKafka(folder / f"node-{n}", cluster_id=identity) for n in range(1, NODES + 1)]
        inner = free_ports(NODES)
        self.proxies = [Proxy(port) for port in inner]
        voters = ",".join(f"{n}@127.0.0.1:{node.controller_port}" for n, node in enumerate(self.nodes, 1))
        for number, (node, port, proxy) in enumerate(zip(self.nodes, inner, self.proxies, strict=True), 1):
            direct, controller = node.bootstrap_servers, f"CONTROLLER://127.0.0.1:{node.controller_port}"
            node.properties |= {
                **PROPERTIES,
                "node.id": str(number),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://{direct},PROXIED://127.0.0.1:{port},{controller}",
                "advertised.listeners": f"PLAINTEXT://{direct},PROXIED://127.0.0.1:{proxy.port}",
            }

    @property
    def bootstrap_servers(self) -> str:
        """For whoever counts: past the proxies."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    @property
    def proxied_servers(self) -> str:
        """For the workers."""
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)

    def start(self) -> None:
        """All at once: none answers before two are there."""
        for node in self.nodes:
            node.prepare()
            node.launch()
        await_answers(self.nodes)

    def close(self) -> None:
        """End them."""
        for proxy in self.proxies:
            proxy.close()
        for node in self.nodes:
            node.kill()
            node.close()


def await_answers(nodes: Sequence[LocalKafka], patience_s: float = 2 * START_S) -> None:
    """Wait until each of them answers.

    Raises:
        LocalError: one does not; carries the end of its log.
    """
    give_up_at = time.monotonic() + patience_s
    for node in nodes:
        while not node.answers():
            if time.monotonic() > give_up_at:
                raise LocalError(f"a node does not answer; its log ends with:\n{node.log_tail()}")
            time.sleep(0.2)  # there is nothing to await but the port itself


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Three nodes for the length of a `with` block."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
