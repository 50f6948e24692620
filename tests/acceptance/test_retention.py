"""Records that were deleted before the worker read them."""

import json

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalWorker
from tests.conftest import Topics
from tests.stream import Reader, Sent, send, text

from .conftest import StartWorker
from .test_faults import counted

PARTITIONS = 4


def some(count: int) -> list[Sent]:
    return [text(f"so happy {number}") for number in range(count)]


def delete_all_but_new(admin: AdminClient, topic: str) -> None:
    """Delete all records like retention does, also unread ones."""
    everything = [TopicPartition(topic, partition, -1) for partition in range(PARTITIONS)]
    for future in admin.delete_records(everything).values():
        future.result()


@pytest.mark.parametrize("choice", ["continue", "stop"])
def test_an_offset_that_is_gone_is_a_loud_event_and_not_a_silent_gap(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker, choice: str
) -> None:
    """It is counted and logged as an error. The worker continues or stops, depending on the setting."""
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__ON_DATA_LOSS": choice}
    worker = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    first = send(bootstrap_servers, topics.input, some(40))
    reader.until(len(first), timeout_s=60)
    worker.stop()
    send(bootstrap_servers, topics.input, some(100))
    delete_all_but_new(admin, topics.input)
    after = send(bootstrap_servers, topics.input, some(40))
    if choice == "stop":
        worker.launch()
        assert 2 == worker.wait(60)
        assert "EMOTAG_INPUT__ON_DATA_LOSS" in worker.read_log_tail(1)
        read = reader.read
    else:
        worker.start()
        read = reader.until(len(first) + len(after), timeout_s=60)
        assert counted(worker, "emotag_data_loss_total") >= 1
        assert dict.fromkeys([*first, *after], 1) == read.times()
    reader.close()
    assert "error" == event(worker, "data_lost")["level"]


def event(worker: LocalWorker, name: str) -> dict[str, str]:
    """Return the first log line of this event."""
    lines = [line for line in worker.read_log_tail(500).splitlines() if line.startswith("{")]
    return next(found for found in map(json.loads, lines) if found["event"] == name)
