"""Members that join and leave, under every protocol of a group."""

import json
import os
import random
import signal
import time
from collections.abc import Mapping

import pytest
from confluent_kafka import Consumer

from emotag_worker.kafka.input.returning import TRY_S
from emotag_worker.local import LocalWorker
from emotag_worker.local.demo_records import read_sample_texts
from emotag_worker.local.server import is_listening
from tests.conftest import QUIET, Topics
from tests.stream import Reader, read_until, send, text

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
    """Under KIP-848, brokers refuse its identity until the session of its last run ends."""
    worker = _member(bootstrap_servers, topics, protocol, "the-one", PROTOCOLS["static"] | PROTOCOLS[protocol])
    reader = Reader(bootstrap_servers, topics)
    with worker:
        for number in range(3):
            send(bootstrap_servers, topics.input, [text(f"thanks {number} {n}") for n in range(20)])
            worker.launch()
            assert 20 * (number + 1) == reader.until(20 * (number + 1), timeout_s=60).answered, worker.read_log_tail()
            worker.kill()
    reader.close()
    assert {1} == set(reader.read.times().values())


@pytest.mark.timeout(240)
def test_a_worker_whose_identity_the_group_still_holds_is_not_ready(bootstrap_servers: str, topics: Topics) -> None:
    """Under KIP-848, brokers refuse it, and the client gives up: the worker tries again until the identity is free."""
    given = PROTOCOLS["static"] | PROTOCOLS["KIP-848"]
    send(bootstrap_servers, topics.input, [text(f"thanks {n}") for n in range(20)])
    holder = _hold_identity(bootstrap_servers, topics, given | {"group.instance.id": "the-one"})
    with _member(bootstrap_servers, topics, "KIP-848", "the-one", given) as worker:
        worker.launch()
        _await_start(worker)
        until = time.monotonic() + 3 * TRY_S
        while time.monotonic() < until:
            assert 503 == worker.get("/readyz")[0], "ready although the group refuses it"
            time.sleep(0.2)  # it has to stay so, which no event shows
        holder.close()
        assert 20 == read_until(bootstrap_servers, topics, 20, timeout_s=60).answered, worker.read_log_tail()
        assert 200 == worker.get("/readyz")[0]


def _hold_identity(bootstrap_servers: str, topics: Topics, properties: Mapping[str, str]) -> Consumer:
    """Return a member of the worker's group that has these properties, and partitions."""
    holder = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": topics.group, "enable.auto.commit": False, **properties},
        logger=QUIET,
    )
    holder.subscribe([topics.input])
    give_up_at = time.monotonic() + 60
    while not holder.assignment():
        assert time.monotonic() < give_up_at, "the group assigns no partitions"
        holder.poll(0.2)
    return holder


def _await_start(worker: LocalWorker) -> None:
    """Wait until the worker has loaded its model, and joins its group."""
    give_up_at = time.monotonic() + 60
    while not is_listening(worker.admin_port) or worker.get("/startupz")[0] != 200:
        assert time.monotonic() < give_up_at, worker.read_log_tail()
        time.sleep(0.2)  # only the worker's HTTP port can be asked
