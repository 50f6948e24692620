"""The reported lag, when an upstream transaction is open or aborted, and when a stranger owns partitions."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker
from tests.chaos.rig import rigged
from tests.conftest import QUIET, Topics
from tests.stream import Reader, send, text

pytestmark = pytest.mark.timeout(500)

WITHIN_S = 120.0
"""Longest wait for a metric: several measurements of the lag, on a busy machine."""


def open_transaction(bootstrap_servers: str, topic: str, count: int) -> Producer:
    """Write *count* records to partition 0 in a transaction that stays open."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": f"upstream-{topic}"}, logger=QUIET)
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, text(f"so happy {number}").value, partition=0)
    assert 0 == producer.flush(30)
    return producer


def read_metric(worker: LocalWorker, name: str) -> float:
    """Return the sum of a metric over its labels; NaN if the worker does not expose it."""
    families = text_string_to_metric_families(worker.get("/metrics")[1])
    values = [sample.value for family in families for sample in family.samples if sample.name == name]
    return sum(values) if values else float("nan")


def await_metrics(worker: LocalWorker, expected: Mapping[str, float]) -> None:
    """Wait until all metrics have the expected values at the same time."""
    await_true(lambda: expected == {name: read_metric(worker, name) for name in expected}, lambda: found_in(worker))


def found_in(worker: LocalWorker) -> str:
    lines = worker.get("/metrics")[1].splitlines()
    return "\n".join(line for line in lines if line.startswith(("emotag_lag", "emotag_topic", "emotag_und")))


def await_true(condition: Callable[[], bool], explain: Callable[[], str] = lambda: "") -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < give_up_at, explain()
        time.sleep(0.2)  # only the worker's HTTP port can be asked


def test_records_behind_an_open_upstream_transaction_are_reported_as_undecided(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """300 records in the transaction and 40 behind it wait. None of them may be read, so the lag is 0."""
    worker = start_worker(topics.environment(bootstrap_servers))
    producer = open_transaction(bootstrap_servers, topics.input, 300)
    other = Producer({"bootstrap.servers": bootstrap_servers}, logger=QUIET)
    for number in range(40):
        other.produce(topics.input, text(f"so sad {number}").value, partition=0)
    assert 0 == other.flush(30)
    await_metrics(worker, {"emotag_undecided_records": 340, "emotag_lag_records": 0, "emotag_topic_lag_records": 0})
    await_true(lambda: read_metric(worker, "emotag_undecided_seconds") > 0)
    producer.commit_transaction(30)
    await_metrics(worker, {"emotag_undecided_records": 0, "emotag_lag_records": 0, "emotag_undecided_seconds": 0})
    assert 340 == read_metric(worker, "emotag_records_total")


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_an_aborted_upstream_transaction_leaves_no_lag(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker, delivery: str
) -> None:
    """Nobody can read its records or its marker: the worker commits an offset beyond them."""
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": delivery})
    first = send(bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(20)])
    await_true(lambda: read_metric(worker, "emotag_records_total") == len(first))
    open_transaction(bootstrap_servers, topics.input, 300).abort_transaction(30)
    await_true(lambda: committed_beyond(bootstrap_servers, topics, 300), lambda: found_in(worker))
    await_metrics(worker, {"emotag_lag_records": 0, "emotag_topic_lag_records": 0, "emotag_undecided_records": 0})
    # A worker that takes over has nothing to read, and its successors read what comes next, once.
    worker.stop()
    second = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": delivery})
    after = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(20)])
    reader = Reader(bootstrap_servers, topics)
    read = reader.until(len(first) + len(after), timeout_s=WITHIN_S)
    reader.close()
    assert dict.fromkeys([*first, *after], 1) == read.times()
    assert len(after) == read_metric(second, "emotag_records_total")


def committed_beyond(bootstrap_servers: str, topics: Topics, offset: int) -> bool:
    """Return True if the group has committed more than *offset* on partition 0."""
    asking = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": topics.group}, logger=QUIET)
    (found,) = asking.committed([TopicPartition(topics.input, 0)], timeout=10)
    asking.close()
    return found.offset > offset


@pytest.fixture
def stranger(bootstrap_servers: str, topics: Topics) -> Iterator[Consumer]:
    """A member of the group that is no worker, owns every partition and commits nothing."""
    member = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": topics.group,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
        },
        logger=QUIET,
    )
    member.subscribe([topics.input])
    await_true(lambda: member.poll(0.1) is None and len(member.assignment()) == topics.partitions)
    yield member
    member.close()


def test_the_lag_of_partitions_that_no_worker_owns_is_reported(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker, stranger: Consumer
) -> None:
    """A stranger keeps two of four partitions, and answers none of their records."""
    sent = send(bootstrap_servers, topics.input, [text(f"so happy {n}", key=b"%d" % n) for n in range(200)])
    worker = LocalWorker(topics.environment(bootstrap_servers))
    try:
        worker.launch()
        await_true(lambda: poll(stranger) and worker.is_ready())
        await_true(lambda: poll(stranger) and read_metric(worker, "emotag_lag_records") == 0)
        kept = {at.partition for at in stranger.assignment()}
        waiting = sum(partition in kept for partition, _ in sent)
        assert waiting
        expected = {"emotag_topic_lag_records": waiting, "emotag_topic_partitions": topics.partitions}
        await_true(
            lambda: poll(stranger) and expected == {name: read_metric(worker, name) for name in expected},
            lambda: f"expected {expected}\n{found_in(worker)}",
        )
        assert topics.partitions - len(kept) == read_metric(worker, "emotag_assigned_partitions")
    finally:
        worker.close()


def poll(member: Consumer) -> bool:
    """Keep a member in its group."""
    member.poll(0)
    return True


class SlowWorker(LocalWorker):
    """A worker whose device takes eight seconds longer for each batch."""

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", rigged.__name__]

    def _build_environment(self) -> Mapping[str, str]:
        return {**os.environ, **super()._build_environment(), rigged.VARIABLE: "slow:8"}


def test_a_worker_with_lag_is_ready_after_its_first_commit(bootstrap_servers: str, topics: Topics) -> None:
    """So a rollout stops at the first worker that joins but commits nothing."""
    send(bootstrap_servers, topics.input, [text(f"so happy {n}", key=b"%d" % n) for n in range(64)])
    worker = SlowWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_MODEL__PRECISION": "fp32",
            "EMOTAG_MODEL__ENGINE": "openvino",
        }
    )
    try:
        worker.launch()
        # The port is not known before the start, and refuses connections until the server listens.
        await_true(lambda: worker.read_log_tail(50).count("partitions_assigned") > 0)
        assert 503 == worker.get("/readyz")[0]
        await_true(worker.is_ready)
        assert read_metric(worker, "emotag_commits_total") > 0
    finally:
        worker.close()
