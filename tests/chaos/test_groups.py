"""Members that join and leave, under every protocol of a group."""

import json
import os
import random
import signal
import time
from collections.abc import Mapping

import pytest

from emotag_worker.local import LocalWorker
from emotag_worker.local.demo_records import read_sample_texts
from emotag_worker.local.server import is_listening
from tests.conftest import Topics
from tests.stream import Reader, send, text

PROTOCOLS = {
    "cooperative": {},
    "eager": {"partition.assignment.strategy": "range"},
    "static": {"group.instance.id": "{name}"},
    "KIP-848": {"group.protocol": "consumer"},
}
SHORT = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_group_whose_members_come_and_go_answers_each_record_once(
    bootstrap_servers: str, topics: Topics, protocol: str
) -> None:
    """Every two seconds a member joins, leaves or is killed, under load."""
    draw = random.Random(protocol)
    words = read_sample_texts()
    placed = send(
        bootstrap_servers, topics.input, [text(f"{words[n % len(words)]} {n}", key=b"%d" % (n % 9)) for n in range(700)]
    )
    workers = [_member(bootstrap_servers, topics, protocol, f"member-{number}") for number in range(3)]
    reader = Reader(bootstrap_servers, topics)
    try:
        running: list[LocalWorker] = []
        began = time.monotonic()
        while reader.read.answered < 500 and time.monotonic() - began < 120:
            away = [worker for worker in workers if worker not in running]
            if len(running) < 2 or (away and draw.random() < 0.5):
                away[0].launch()
                running.append(away[0])
            else:
                worker = running.pop(draw.randrange(len(running)))
                if draw.random() < 0.5:
                    worker.kill()
                else:
                    hears = is_listening(worker.admin_port)  # a worker that is still starting ends like any process
                    os.kill(worker.pid, signal.SIGTERM)
                    code = worker.wait(30)
                    assert 0 == code or (not hears and code == -signal.SIGTERM)
            reader.take_for(2.0)
        if not running:
            workers[0].launch()
        read = reader.until(700, timeout_s=90)
    finally:
        reader.close()
        for worker in workers:
            worker.kill()
            worker.close()
    assert dict.fromkeys(placed, 1) == read.times()


def _member(
    bootstrap_servers: str, topics: Topics, protocol: str, name: str, properties: Mapping[str, str] | None = None
) -> LocalWorker:
    given = {key: value.format(name=name) for key, value in (properties or PROTOCOLS[protocol]).items()}
    times = {} if protocol == "KIP-848" else SHORT  # under this protocol the broker decides
    return LocalWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_KAFKA__PROPERTIES": json.dumps({**times, **given}),
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("protocol", ["static", "KIP-848"])
def test_a_killed_worker_with_an_identity_that_starts_at_once_continues(
    bootstrap_servers: str, topics: Topics, protocol: str
) -> None:
    """Under KIP-848, brokers refuse its identity until the session of its last run ends, and the client gives up."""
    given = PROTOCOLS["static"] | PROTOCOLS[protocol]
    worker = _member(bootstrap_servers, topics, protocol, "the-one", given)
    reader = Reader(bootstrap_servers, topics)
    with worker:
        for number in range(3):
            send(bootstrap_servers, topics.input, [text(f"thanks {number} {n}") for n in range(20)])
            worker.launch()
            if protocol == "KIP-848" and number > 0:
                _await_start(worker)
                assert 503 == worker.get("/readyz")[0], "ready although the group refuses it"
            assert 20 * (number + 1) == reader.until(20 * (number + 1), timeout_s=60).answered, worker.read_log_tail()
            worker.kill()
    reader.close()
    assert {1} == set(reader.read.times().values())


def _await_start(worker: LocalWorker) -> None:
    """Wait until the worker has loaded its model, and joins its group."""
    give_up_at = time.monotonic() + 60
    while not is_listening(worker.admin_port) or worker.get("/startupz")[0] != 200:
        assert time.monotonic() < give_up_at, worker.read_log_tail()
        time.sleep(0.2)  # only the worker's HTTP port can be asked
