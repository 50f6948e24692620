"""A broker that never comes back: the coordinator of the group."""

import random
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.conftest import QUIET, create_topics
from tests.stream import Reader, send, text

from .rig.cluster import cluster
from .rig.fleet import Fleet

COUNT = 300


@pytest.mark.timeout(300)
def test_a_group_whose_coordinator_leaves_the_cluster_for_good_continues_with_another(tmp_path: Path) -> None:
    """Its members find the new coordinator; librdkafka may stay with the old one (issue 5511), and then restarts."""
    with cluster(tmp_path) as brokers:
        topics = create_topics(
            AdminClient({"bootstrap.servers": brokers.bootstrap_servers}, logger=QUIET), replication=3
        )
        environment = {
            **topics.environment(brokers.proxied_servers[0]),
            "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "30",
        }
        placed = send(brokers.bootstrap_servers, topics.input, [text(f"so sad {n}") for n in range(COUNT)])
        with Fleet(environment, static=0, dynamic=1, draw=random.Random(0)) as fleet:
            fleet.launch()
            reader = Reader(brokers.bootstrap_servers, topics)
            reader.until(COUNT, timeout_s=60)
            brokers.nodes[brokers.find_coordinator(topics.group)].kill()
            placed |= send(brokers.bootstrap_servers, topics.input, [text(f"so glad {n}") for n in range(COUNT)])
            while reader.read.answered < len(placed):  # pytest's timeout ends it
                reader.take_for(0.5)
                fleet.tend()
            reader.close()
        reader = Reader(brokers.bootstrap_servers, topics)
        assert dict.fromkeys(placed, 1) == reader.until(len(placed), timeout_s=60).times()
        reader.close()
