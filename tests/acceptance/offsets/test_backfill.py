"""`emotag run --from --until`: tag a range of time again, exactly, then end."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Place, Reader, Sent, send

from .test_start import WAIT_S, fetch_committed, some

pytestmark = pytest.mark.timeout(900)

FIRST_MS = int(time.time() - 7200) * 1000
END_MS = FIRST_MS + 600_000


def send_around(bootstrap_servers: str, topics: Topics, *, within: int) -> dict[Place, Sent]:
    """Produce records before, within and after the range; return those within it."""
    send(bootstrap_servers, topics.input, some(20, at_ms=FIRST_MS - 1))
    wanted = send(bootstrap_servers, topics.input, some(within, at_ms=FIRST_MS))
    wanted |= send(bootstrap_servers, topics.input, some(20, at_ms=END_MS - 1))
    send(bootstrap_servers, topics.input, some(20, at_ms=END_MS))
    return wanted


def arguments() -> list[str]:
    first, end = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (FIRST_MS, END_MS))
    return ["run", "--from", first, "--until", end]


def test_a_range_is_tagged_again_and_the_command_ends(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """No record before or after it gets another result, and the workers' group does not move."""
    wanted = send_around(bootstrap_servers, topics, within=40)
    worker = start_worker(topics.environment(bootstrap_servers))
    reader = Reader(bootstrap_servers, topics)
    everything = set(reader.until(100, timeout_s=WAIT_S).results)
    assert 100 == len(everything)
    worker.stop()
    before = fetch_committed(admin, topics)
    command = RangeWorker(topics.environment(bootstrap_servers))
    command.launch()
    try:
        assert 0 == command.wait(WAIT_S)
        assert "the range is done" in command.read_log_tail(1)
    finally:
        command.close()
    give_up_at = time.monotonic() + WAIT_S
    while reader.read.times().total() < 100 + len(wanted) and time.monotonic() < give_up_at:
        reader.take(0.2)
    reader.take_for(1)
    assert dict.fromkeys(everything, 1) | dict.fromkeys(wanted, 2) == reader.read.times()
    assert before == fetch_committed(admin, topics)
    reader.close()


def test_a_range_that_is_interrupted_is_continued(bootstrap_servers: str, topics: Topics) -> None:
    """Two commands share the range, one of them is killed and started again: one result for each record."""
    wanted = send_around(bootstrap_servers, topics, within=1_000)
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_KAFKA__PROPERTIES__session.timeout.ms": "6000",
        "EMOTAG_BATCH__MAX_RECORDS": "50",
    }
    workers = [RangeWorker(environment), RangeWorker(environment)]
    reader = Reader(bootstrap_servers, topics)
    try:
        for worker in workers:
            worker.launch()
        while reader.read.answered < 200:
            assert reader.take(WAIT_S)
        workers[0].kill()
        workers[0].launch()
        assert [0, 0] == [worker.wait(WAIT_S) for worker in workers]
        assert dict.fromkeys(wanted, 1) == reader.until(len(wanted), timeout_s=10).times()
    finally:
        reader.close()
        for worker in workers:
            worker.close()


class RangeWorker(LocalWorker):
    """A worker that runs `emotag run --from --until`."""

    def _build_command(self) -> Sequence[str]:
        return [*super()._build_command(), *arguments()[1:]]
