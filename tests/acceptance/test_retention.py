"""Records that were deleted before the worker read them."""

import json

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.conftest import Topics
from tests.stream import Reader, Sent, send, text
from worker.local import LocalWorker

from .conftest import StartWorker
from .test_faults import counted

PARTITIONS = 4


def some(count: int) -> list[Sent]:
    return [text(f"so happy {number}") for number in range(count)]


def delete_all_but_new(admin: AdminClient, topic: str) -> None:
    """As retention does: all that is there goes, whoever has not read it."""
    everything = [TopicPartition(topic, partition, -1) for partition in range(PARTITIONS)]
    for future in admin.delete_records(everything).values():
        future.result()


@pytest.mark.parametrize("choice", ["continue", "stop"])
def test_an_offset_that_is_gone_is_a_loud_event_and_not_a_silent_gap(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker, choice: str
) -> None:
    """Counted and an error in the log; the worker goes on with what is there, or stops, as the operator chose."""
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__OFFSET_GONE": choice}
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
        assert 1 == worker.wait(60)
        assert "EMOTAG_INPUT__OFFSET_GONE" in worker.log_tail(1)
        read = reader.read
    else:
        worker.start()
        read = reader.until(len(first) + len(after), timeout_s=60)
        assert counted(worker, "emotag_offset_gone_total") >= 1
        assert dict.fromkeys([*first, *after], 1) == read.times()
    reader.close()
    assert "error" == event(worker, "offset_gone")["level"]


def event(worker: LocalWorker, name: str) -> dict[str, str]:
    """The first of its log lines with that name."""
    lines = [line for line in worker.log_tail(500).splitlines() if line.startswith("{")]
    return next(found for found in map(json.loads, lines) if found["event"] == name)
