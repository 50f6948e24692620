"""The partitions and timestamps of results."""

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from emotag_worker.local import LocalWorker
from tests.conftest import Topics, create_topics
from tests.stream import Reader, Sent, new_producer, read_until, send, text

from .rig.fleet import DoomedWorker
from .rig.visibility import Visibility

OPEN_S = 60
"""Transaction timeout of the worker that dies: longer than the test watches, so only its abort could end the wait."""
CALM_S = 8.0
"""The longest time without a result of the healthy worker, for each of its partitions and each key."""
KEYS = [b"%d" % number for number in range(10)]


@pytest.mark.timeout(180)
def test_records_without_keys_keep_the_order_of_their_partition(bootstrap_servers: str, admin: AdminClient) -> None:
    """Results and dead letters of each input partition are in one partition, in the order of the input."""
    topics = create_topics(admin, partitions=8)
    records = [Sent(b"bad") if number % 10 == 3 else text(f"thanks {number}") for number in range(400)]
    placed = send(bootstrap_servers, topics.input, records)
    with LocalWorker(_describe(bootstrap_servers, topics)) as worker:
        worker.start()
        read = read_until(bootstrap_servers, topics, 400, timeout_s=90)
    assert dict.fromkeys(placed, 1) == read.times()
    assert 40 == len(read.dead)
    for found in (read.results, read.dead):
        offsets: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for (partition, offset), (message,) in found.items():
            assert partition == message.partition()
            offsets[partition].append((message.offset() or 0, offset))
        for written in offsets.values():
            inputs = [offset for _, offset in sorted(written)]
            assert sorted(inputs) == inputs


@pytest.mark.timeout(240)
def test_a_worker_killed_in_a_transaction_does_not_hold_up_the_results_of_others(
    bootstrap_servers: str, topics: Topics, admin: AdminClient
) -> None:
    """Readers of committed records wait for an open transaction, but only in the partitions that it wrote to.

    Every input partition has the same keys: by key, results of both workers would be in the same partitions."""
    environment = {
        **_describe(bootstrap_servers, topics),
        "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": str(OPEN_S),
        "EMOTAG_KAFKA__PROPERTIES": '{"session.timeout.ms": 60000}',
    }
    doomed, healthy = DoomedWorker(environment), DoomedWorker(environment)
    reader, producer = Reader(bootstrap_servers, topics), new_producer(bootstrap_servers)
    turns = itertools.count()

    def stream() -> None:
        sent = text(f"thanks {next(turns)}")
        for partition, key in itertools.product(range(topics.partitions), KEYS):
            producer.produce(topics.input, value=sent.value, key=key, partition=partition)
        producer.poll(0)
        reader.take_for(0.1)

    with healthy, doomed:
        healthy.start()
        doomed.doom = "commit:20"
        doomed.launch()
        give_up_at = time.monotonic() + 90
        while not doomed.ended:
            assert time.monotonic() < give_up_at, doomed.read_log_tail()
            stream()
        killed_at = time.monotonic()
        visibility = Visibility(bootstrap_servers, [topics.output])
        while time.monotonic() - killed_at < 2 * CALM_S:
            stream()
        ended_at = time.monotonic()
        frozen_s = visibility.close()
        healthy_partitions = _find_assigned(admin, topics.group, healthy.pid)
        reader.close()
    assert -9 == doomed.code()
    assert frozen_s > CALM_S, "no transaction was open"
    assert 0 < len(healthy_partitions) < topics.partitions
    gaps_s = _find_gaps(reader, killed_at, ended_at, itertools.product(healthy_partitions, KEYS))
    assert not {stream: gap_s for stream, gap_s in gaps_s.items() if gap_s > CALM_S}


def _find_assigned(admin: AdminClient, group: str, pid: int) -> set[int]:
    """Return the partitions of the member with this process id."""
    (found,) = admin.describe_consumer_groups([group]).values()
    members = [member for member in found.result().members if member.client_id.endswith(f"-{pid}")]
    return {each.partition for member in members for each in member.assignment.topic_partitions}


def _find_gaps(
    reader: Reader, began: float, ended: float, streams: Iterable[tuple[int, bytes]]
) -> dict[tuple[int, bytes], float]:
    """Return the longest time from *began* to *ended* without a result of each input partition and key, in seconds."""
    arrivals_s = {stream: [began] for stream in streams}
    # Each record has one result, so both are in the order of arrival.
    for ((partition, _), (message,)), at in zip(reader.read.results.items(), reader.read.arrivals_s, strict=True):
        if began < at < ended and (stream := (partition, message.key() or b"")) in arrivals_s:
            arrivals_s[stream].append(at)
    return {
        stream: max(after - before for before, after in itertools.pairwise([*times, ended]))
        for stream, times in arrivals_s.items()
    }


@pytest.mark.timeout(180)
def test_partitions_that_are_added_to_all_topics_get_their_own_results_without_a_restart(
    bootstrap_servers: str, admin: AdminClient
) -> None:
    """Else the results of a new partition would move to another one at the restart of its worker."""
    topics = create_topics(admin, partitions=2)
    first = send(bootstrap_servers, topics.input, [text("thanks")])
    with LocalWorker(_describe(bootstrap_servers, topics)) as worker:
        worker.start()
        read_until(bootstrap_servers, topics, 1, timeout_s=60)
        for topic in (topics.output, topics.dlq, topics.input):
            (growing,) = admin.create_partitions([NewPartitions(topic, 6)]).values()
            growing.result()
        producer = new_producer(bootstrap_servers)
        give_up_at = time.monotonic() + 30
        while len(producer.list_topics(topics.input, timeout=10).topics[topics.input].partitions) < 6:
            assert time.monotonic() < give_up_at
        failed: list[object] = []
        for partition, value in itertools.product(range(2, 6), [b"bad", text("thanks").value]):
            producer.produce(
                topics.input, value=value, partition=partition, on_delivery=lambda error, _: failed.append(error)
            )
        assert 0 == producer.flush(30)
        assert [None] * 8 == failed
        read = read_until(bootstrap_servers, replace(topics, partitions=6), 9, timeout_s=90)
    assert len(first) + 8 == len(read.results) + len(read.dead)
    for found in (read.results, read.dead):
        assert all(partition == message.partition() for (partition, _), (message,) in found.items())


def test_too_few_partitions_for_the_inputs_end_the_worker_before_it_reads(
    bootstrap_servers: str, admin: AdminClient, topics: Topics
) -> None:
    small = f"{topics.output}-small"
    for future in admin.create_topics([NewTopic(small, 2, 1)]).values():
        future.result()
    given = {"EMOTAG_OUTPUT__TOPIC": small, "EMOTAG_OUTPUT__PARTITION": "input"}
    with LocalWorker({**topics.environment(bootstrap_servers), **given}) as worker:
        worker.launch()
        assert 2 == worker.wait(60)
        log = worker.read_log_tail()
    assert f"{small} has 2 partitions and the input topic has 4" in log
    assert "EMOTAG_OUTPUT__PARTITION=key" in log


@pytest.mark.timeout(120)
def test_results_can_have_the_time_of_their_writing(bootstrap_servers: str, topics: Topics) -> None:
    """Retention would delete the results of old texts, if they had the old timestamps."""
    began_ms = int(time.time() * 1000)
    old = began_ms - 30 * 24 * 3600 * 1000
    send(
        bootstrap_servers, topics.input, [Sent(b'{"text": "thanks"}', timestamp_ms=old), Sent(b"bad", timestamp_ms=old)]
    )
    with LocalWorker({**_describe(bootstrap_servers, topics), "EMOTAG_OUTPUT__TIMESTAMP": "now"}) as worker:
        worker.start()
        read = read_until(bootstrap_servers, topics, 2, timeout_s=60)
    (result,), (dead,) = read.results.popitem()[1], read.dead.popitem()[1]
    assert began_ms <= result.timestamp()[1]
    assert old == dead.timestamp()[1]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("timestamp", ["input", "now"])
def test_a_backfill_whose_results_would_be_deleted_at_once_is_warned_of_at_the_start(
    bootstrap_servers: str, admin: AdminClient, timestamp: str
) -> None:
    """The default retention of seven days is shorter than the age of the texts."""
    topics = create_topics(admin, partitions=2)
    old = int((time.time() - 30 * 24 * 3600) * 1000)
    waiting = [Sent(b"{}", key=b"k", timestamp_ms=old)] * 7
    send(bootstrap_servers, topics.input, [*waiting, text("thanks", key=b"k")])
    with LocalWorker({**_describe(bootstrap_servers, topics), "EMOTAG_OUTPUT__TIMESTAMP": timestamp}) as worker:
        worker.start()
        lines = [json.loads(line) for line in worker.log_path.read_text().splitlines() if line.startswith("{")]
    warned = {line["topic"]: line["records"] for line in lines if line["event"] == "short_retention_found"}
    always = {topics.dlq: 7}
    assert warned == (always if timestamp == "now" else always | {topics.output: 7})


def _describe(bootstrap_servers: str, topics: Topics) -> dict[str, str]:
    return {
        **topics.environment(bootstrap_servers),
    }
