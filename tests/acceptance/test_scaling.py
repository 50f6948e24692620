"""Replicas that an autoscaler adds and removes by lag."""

import itertools
import json
import math
import os
import signal
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalWorker
from emotag_worker.local.demo_records import read_sample_texts
from emotag_worker.local.server import LocalServer
from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, new_producer, produce, text

from .conftest import StartWorker

PARTITIONS = 8
MESSAGES = 900
LAG_THRESHOLD = 150
"""Lag per replica, like a ScaledObject's `lagThreshold`."""

MOST = 3
HANDOVER_S = 3.0
"""The promised time from SIGTERM until another worker reads its partitions."""


class Lag:
    """The lag that an autoscaler sees: records that the group has not committed."""

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)
        self._ends = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "autoscaler"}, logger=QUIET)
        self._topics = topics

    def records(self) -> int:
        """Return the lag of all partitions."""
        places = [TopicPartition(self._topics.input, partition) for partition in range(self._topics.partitions)]
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self._topics.group, places)])
        committed = asked[self._topics.group].result().topic_partitions
        ends = [self._ends.get_watermark_offsets(place, timeout=30)[1] for place in places]
        return sum(end - max(0, place.offset) for end, place in zip(ends, committed, strict=True))

    def close(self) -> None:
        """Close its client."""
        self._ends.close()


@pytest.mark.timeout(240)
def test_replicas_come_and_go_with_the_lag_and_each_record_is_answered_once(
    bootstrap_servers: str, admin: AdminClient, shown_on_failure: Callable[[LocalServer], None]
) -> None:
    """A backlog adds replicas, its end removes them. A worker that leaves hands over within three seconds."""
    topics = create_topics(admin, partitions=PARTITIONS)
    words = read_sample_texts()
    producer = new_producer(bootstrap_servers)
    lag, reader = Lag(bootstrap_servers, topics), Reader(bootstrap_servers, topics)
    running: list[LocalWorker] = []
    replicas, handovers_s = [], []
    try:
        for number in range(MESSAGES):
            produce(producer, topics.input, text(f"{words[number % len(words)]} {number}"), None)
        assert 0 == producer.flush(30)
        for turn in itertools.count():
            wanted = min(MOST, max(1, math.ceil(lag.records() / LAG_THRESHOLD)))
            replicas.append(wanted)
            while len(running) < wanted:
                running.append(worker := _replica(bootstrap_servers, topics))
                shown_on_failure(worker)
                worker.launch()
            _await_partitions(running)
            while len(running) > wanted:
                leaver = running.pop()
                handovers_s.append(_hand_over(leaver, running))
                leaver.close()
            if wanted == 1 and turn:
                break
            reader.take_for(1.0)
        read = reader.until(MESSAGES, timeout_s=60)
    finally:
        lag.close()
        reader.close()
        for worker in running:
            worker.kill()
            worker.close()
    assert MESSAGES == len(read.times())
    assert {1} == set(read.times().values())
    assert MOST == replicas[0]
    assert MOST - 1 == len(handovers_s)
    assert max(handovers_s) < HANDOVER_S


@pytest.mark.parametrize("properties", [{}, {"group.protocol": "consumer"}], ids=["cooperative", "KIP-848"])
def test_a_worker_beyond_the_partitions_is_ready_too(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker, properties: dict[str, str]
) -> None:
    """Otherwise a rollout, which starts new workers first, would never end if each partition has a worker."""
    topics = create_topics(admin, partitions=1)
    environment = topics.environment(bootstrap_servers) | {
        "EMOTAG_KAFKA__PROPERTIES": json.dumps(properties),
    }
    workers = [start_worker(environment) for _ in range(2)]
    assert [200, 200] == [worker.get("/readyz")[0] for worker in workers]
    assert 1 == sum(_assigned(worker) for worker in workers)


def _replica(bootstrap_servers: str, topics: Topics) -> LocalWorker:
    return LocalWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )


def _hand_over(leaver: LocalWorker, others: list[LocalWorker]) -> float:
    """Return the seconds from SIGTERM until the *others* have all partitions."""
    began = time.monotonic()
    os.kill(leaver.pid, signal.SIGTERM)
    _await_partitions(others)
    took_s = time.monotonic() - began
    assert 0 == leaver.wait(30)
    return took_s


def _await_partitions(workers: list[LocalWorker]) -> None:
    """Wait until *workers* have all partitions, and each of them has some."""
    give_up_at = time.monotonic() + 60
    while True:
        held = [_assigned(worker) for worker in workers]
        if sum(held) == PARTITIONS and all(held):
            return
        assert time.monotonic() < give_up_at, f"the workers hold {held} of {PARTITIONS} partitions"
        time.sleep(0.02)  # only the workers' own metrics show it


def _assigned(worker: LocalWorker) -> int:
    try:
        _, metrics = worker.get("/metrics")
    except OSError:
        return 0
    lines = [line for line in metrics.splitlines() if line.startswith("emotag_assigned_partitions ")]
    return round(float(lines[0].split()[1]))
