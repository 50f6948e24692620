"""Records that are gone before or after they were read: deleted, truncated, or gone with their topic."""

from collections import Counter

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.acceptance.conftest import StartWorker
from tests.acceptance.test_faults import counted
from tests.conftest import Topics
from tests.stream import Reader, send

from .test_start import WAIT_S, await_events, some

pytestmark = pytest.mark.timeout(900)

EAGER = {"partition.assignment.strategy": "range,roundrobin"}
PROTOCOLS = [{}, EAGER, {"group.protocol": "consumer"}]


@pytest.mark.parametrize("properties", PROTOCOLS, ids=["cooperative", "eager", "broker"])
@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_after_a_gap_every_record_that_exists_is_answered(
    bootstrap_servers: str,
    admin: AdminClient,
    topics: Topics,
    start_worker: StartWorker,
    start: str,
    properties: dict[str, str],
) -> None:
    """30 records were deleted unread, 70 exist: 70 are answered, and 30 are reported, whatever the start is."""
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__START": start}
    environment |= {f"EMOTAG_KAFKA__PROPERTIES__{name}": value for name, value in properties.items()}
    worker = start_worker(environment)
    await_events(worker, "start_chosen", 1)
    reader = Reader(bootstrap_servers, topics)
    first = send(bootstrap_servers, topics.input, some(20))
    reader.until(len(first), timeout_s=WAIT_S)
    worker.stop()
    sent = send(bootstrap_servers, topics.input, some(100))
    deleted = sorted(sent)[:30]
    cut = {partition: max(offset for at, offset in deleted if at == partition) + 1 for partition, _ in deleted}
    for future in admin.delete_records([TopicPartition(topics.input, *at) for at in cut.items()]).values():
        future.result()
    worker.launch()
    read = reader.until(len(first) + 70, timeout_s=WAIT_S)
    lost = await_events(worker, "data_lost", len(cut))
    assert dict.fromkeys([*first, *sorted(sent)[30:]], 1) == read.times()
    assert {("deleted", "error")} == {(event["kind"], event["level"]) for event in lost}
    assert 30 == sum(event["records"] for event in lost)
    assert (len(cut), 30) == (
        counted(worker, "emotag_data_loss_total"),
        counted(worker, "emotag_deleted_records_total"),
    )
    reader.close()


@pytest.mark.parametrize("choice", ["continue", "stop"])
def test_an_offset_beyond_the_end_is_a_truncation(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker, choice: str
) -> None:
    """Brokers lost records that were already read. The worker reads on at the end, or stops, depending on the setting.

    Records after the end that the group has committed cannot be told from later ones.
    """
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__ON_DATA_LOSS": choice}
    worker = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    first = send(bootstrap_servers, topics.input, some(40))
    reader.until(len(first), timeout_s=WAIT_S)
    worker.stop()
    beyond = [TopicPartition(topics.input, 0, 1_000, leader_epoch=0)]
    (altered,) = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(topics.group, beyond)]).values()
    altered.result()
    if choice == "stop":
        worker.launch()
        assert 2 == worker.wait(WAIT_S)
        assert "emotag offsets reset" in worker.read_log_tail(1)
    else:
        worker.launch()
    (lost,) = await_events(worker, "data_lost", 1)
    assert ("truncated", 0, 1_000) == (lost["kind"], lost["partition"], lost["position"])
    assert "deleted" not in lost["reason"]
    if choice == "continue":
        later = send(bootstrap_servers, topics.input, some(40))
        assert dict.fromkeys([*first, *later], 1) == reader.until(80, timeout_s=WAIT_S).times()
    reader.close()


def test_a_topic_that_was_deleted_and_created_again_is_read_from_its_beginning(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """It has fewer records than were read before, so the old offsets are out of range; brokers deleted them too."""
    worker = start_worker(topics.environment(bootstrap_servers))
    reader = Reader(bootstrap_servers, topics)
    first = send(bootstrap_servers, topics.input, some(80))
    reader.until(len(first), timeout_s=WAIT_S)
    worker.stop()
    admin.delete_topics([topics.input])[topics.input].result()
    admin.create_topics([NewTopic(topics.input, topics.partitions, 1)])[topics.input].result()
    again = send(bootstrap_servers, topics.input, some(20))
    worker.launch()
    times = reader.until(len(first) + 1, timeout_s=5).times()
    while times.total() < len(first) + len(again) and reader.take(WAIT_S):
        times = reader.read.times()
    assert Counter([*first, *again]) == times
    reader.close()
