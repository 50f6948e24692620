"""Members that come and go, under every protocol that a group can have."""

import json
import os
import random
import signal
import time

import pytest

from tests.conftest import Topics
from tests.stream import Reader, send, text
from worker.demo import sample_texts
from worker.local import LocalWorker
from worker.local.server import accepts

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
    """Every two seconds one joins, leaves or is killed, under load."""
    draw = random.Random(protocol)
    words = sample_texts()
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
                    hears = accepts(worker.admin_port)  # one that is only starting ends as any process does
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


def _member(bootstrap_servers: str, topics: Topics, protocol: str, name: str) -> LocalWorker:
    given = {key: value.format(name=name) for key, value in PROTOCOLS[protocol].items()}
    times = {} if protocol == "KIP-848" else SHORT  # there the broker decides
    return LocalWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_KAFKA__PROPERTIES": json.dumps({**times, **given}),
            "EMOTAG_MODEL__PRECISION": "fp32",
            "EMOTAG_MODEL__ENGINE": "openvino",
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )
