"""Produce batches that the client cannot decompress: the records before and after them have results."""

import json
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from emotag_worker.kafka.clients import create_offset_reader
from emotag_worker.local import LocalWorker
from emotag_worker.settings import loader
from tests.acceptance.conftest import StartWorker
from tests.conftest import QUIET, Topics
from tests.stream import Place, Sent, read_until, send, text

KEY = b"one partition"


def send_bomb(bootstrap_servers: str, topic: str) -> list[Place]:
    """Produce 12 records of 10 MB as one batch of 10 kB: the client decompresses zstd up to 100 MB."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "compression.type": "zstd",
            "message.max.bytes": 1_000_000_000,
            "batch.size": 1_000_000_000,
            "linger.ms": 3_000,
            "queue.buffering.max.kbytes": 1_000_000,
        },
        logger=QUIET,
    )
    placed: list[Place] = []

    def delivered(error: object, message: Any) -> None:
        assert error is None, error
        placed.append((message.partition(), message.offset()))

    for _ in range(12):
        producer.produce(topic, b"a" * 10_000_000, KEY, on_delivery=delivered)
    assert 0 == producer.flush(60)
    return placed


def send_all(bootstrap_servers: str, topics: Topics) -> tuple[dict[Place, Sent], list[Place]]:
    """Produce 20 good records, two bombs, 20 good records, one bomb; return the good ones and the others."""
    good = [text(f"so happy {number}", key=KEY) for number in range(20)]
    placed = send(bootstrap_servers, topics.input, good)
    bombs = send_bomb(bootstrap_servers, topics.input) + send_bomb(bootstrap_servers, topics.input)
    placed |= send(bootstrap_servers, topics.input, good)
    return placed, bombs + send_bomb(bootstrap_servers, topics.input)


def events(worker: LocalWorker, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in worker.read_log_tail().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.timeout(240)
def test_batches_that_cannot_be_decompressed_are_skipped_and_no_other_record_is(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    placed, bombs = send_all(bootstrap_servers, topics)
    worker = start_worker(topics.environment(bootstrap_servers))
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    assert {} == read.dead
    lost = events(worker, "data_lost")
    assert {"unreadable"} == {line["kind"] for line in lost}
    skipped = [offset for line in lost for offset in range(line["position"], line["resumed_at"])]
    assert sorted(offset for _, offset in bombs) == skipped
    assert f"emotag_data_loss_total {len(lost)}.0" in worker.get("/metrics")[1]
    partition = bombs[0][0]
    names = {"bootstrap_servers": bootstrap_servers, "group_id": topics.group}
    reader = create_offset_reader(loader.load(flags={"kafka": names, "input": {"topic": topics.input}}))
    while reader.fetch_committed([(topics.input, partition)])[topics.input, partition].offset != 76:
        time.sleep(0.2)  # the end is committed without a record


@pytest.mark.timeout(240)
def test_a_worker_that_must_not_lose_data_stops_at_such_a_batch(bootstrap_servers: str, topics: Topics) -> None:
    send_bomb(bootstrap_servers, topics.input)
    with LocalWorker({**topics.environment(bootstrap_servers), "EMOTAG_INPUT__ON_DATA_LOSS": "stop"}) as worker:
        worker.launch()
        assert 2 == worker.wait(60)
        (lost,) = events(worker, "data_lost")
    assert (0, 12) == (lost["position"], lost["resumed_at"])
