"""Delivery without transactions: nothing is lost, and every record has a result."""

import pytest

from tests.conftest import Topics
from tests.stream import Reader, send, text

from .conftest import StartWorker


@pytest.mark.timeout(240)
def test_at_least_once_loses_nothing_when_the_worker_is_killed(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Offsets are committed after their results: kill -9 may repeat results, never lose one."""
    placed = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(1200)])
    worker = start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_DELIVERY": "at_least_once",
            "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "one"}',
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    for kill in (1, 2, 3):
        while reader.read.answered < 300 * kill:
            reader.take(1.0)
        worker.kill()
        worker.start()
    read = reader.until(1200, timeout_s=60)
    reader.close()
    assert set(placed) == set(read.times())


def test_at_least_once_answers_every_record_too(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """In a run without a crash, each record has one result, and all offsets are committed at the end."""
    placed = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(300)])
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": "at_least_once"})
    reader = Reader(bootstrap_servers, topics)
    reader.until(300, timeout_s=60)
    worker.stop()
    worker.start()
    read = reader.until(300, timeout_s=10)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
