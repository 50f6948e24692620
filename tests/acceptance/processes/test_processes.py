"""Several workers under one supervisor: real processes, real signals, a real Kafka."""

import http.client
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker
from tests.acceptance.offsets.test_backfill import RangeWorker, send_around
from tests.conftest import Topics
from tests.stream import Reader, Sent, read_until, send, text

pytestmark = pytest.mark.timeout(300)

OPENMETRICS = "application/openmetrics-text;version=1.0.0"

Event = dict[str, Any]


def describe(bootstrap_servers: str, topics: Topics, **settings: str) -> dict[str, str]:
    """Return the environment of two workers under a supervisor."""
    return {
        **topics.environment(bootstrap_servers),
        "EMOTAG_PROCESSES": "2",
        **settings,
    }


def read_events(worker: LocalWorker, name: str) -> list[Event]:
    """Return the log events of one kind, of the supervisor and of all workers."""
    lines = worker.log_path.read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def find_pids(worker: LocalWorker) -> list[int]:
    """Return the process id of each worker, by its number."""
    latest = {event["process"]: event["pid"] for event in read_events(worker, "process_started")}
    return [latest[number] for number in sorted(latest)]


def await_true(condition: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for something that only a port or a log shows."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def await_ends(pids: Sequence[int], within_s: float = 30) -> None:
    """Wait until processes that are not ours have ended."""
    for handle in [os.pidfd_open(pid) for pid in pids]:
        assert select.select([handle], [], [], within_s)[0]
        os.close(handle)


def read_values(worker: LocalWorker, name: str) -> dict[str, float]:
    """Return a metric by process."""
    families = read_plain(worker.get("/metrics")[1])
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {sample.labels["process"]: sample.value for sample in samples}


def read_resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def texts(count: int, kind: str) -> list[Sent]:
    return [text(f"What a {kind} day, number {number}") for number in range(count)]


def test_two_processes_share_the_partitions_and_one_signal_ends_both(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    worker = start_worker(describe(bootstrap_servers, topics))
    await_true(lambda: read_values(worker, "emotag_assigned_partitions") == {"0": 2, "1": 2})
    send(bootstrap_servers, topics.input, texts(400, "lovely"))
    read = read_until(bootstrap_servers, topics, 400, timeout_s=60)
    assert 400 == len(read.results)
    assert {1} == set(read.times().values())
    records = read_values(worker, "emotag_records_total")
    assert 400 == sum(records.values())
    assert all(records.values())

    shares = [set(event["cores"]) for event in read_events(worker, "process_started")]
    if os.cpu_count() != 1:
        assert not shares[0] & shares[1]
    assert shares == [os.sched_getaffinity(pid) for pid in find_pids(worker)]
    assert read_resident_mb(worker.pid) < 80 < read_resident_mb(find_pids(worker)[0])

    os.kill(worker.pid, signal.SIGTERM)
    assert 0 == worker.wait(30)
    assert {(0, 0), (1, 0)} == {
        (event["process"], event["exit_code"]) for event in read_events(worker, "worker_stopped")
    }
    (stopped,) = read_events(worker, "supervisor_stopped")
    assert ("SIGTERM", 0) == (stopped["reason"], stopped["exit_code"])
    assert "process" not in stopped


def test_a_killed_process_is_restarted_and_nothing_is_lost_or_repeated(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """With one identity for both, which each worker completes with its number. At the end, all get the signal."""
    settings = {"EMOTAG_KAFKA__IDENTITY": "one", "EMOTAG_BATCH__MAX_RECORDS": "32"}
    worker = start_worker(describe(bootstrap_servers, topics, **settings))
    await_true(lambda: read_values(worker, "emotag_assigned_partitions") == {"0": 2, "1": 2})
    reader = Reader(bootstrap_servers, topics)
    send(bootstrap_servers, topics.input, texts(1000, "sad"))
    while reader.read.answered < 100:
        reader.take(1.0)
    os.kill(find_pids(worker)[1], signal.SIGKILL)
    await_true(lambda: worker.get("/readyz") == (503, "not now: process 1 has not started\n"))
    assert (200, "ok\n") == worker.get("/livez")
    read = reader.until(1000, timeout_s=60)
    reader.close()
    assert 1000 == len(read.results)
    assert {1} == set(read.times().values())
    (ended,) = read_events(worker, "process_ended")
    assert (1, 137, "ended by SIGKILL") == (ended["process"], ended["exit_code"], ended["reason"])
    await_true(worker.is_ready)
    assert [0, 0, 1] == [event["restarts"] for event in read_events(worker, "process_started")]

    os.killpg(worker.pid, signal.SIGINT)  # as a terminal does, and systemd with SIGTERM
    assert 0 == worker.wait(30)
    assert [0, 0] == [event["exit_code"] for event in read_events(worker, "worker_stopped")]


def test_a_process_that_hangs_is_named_and_the_metrics_of_the_other_are_served(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """If the supervisor is then killed, its processes shut down."""
    worker = start_worker(describe(bootstrap_servers, topics))
    both = worker.get("/metrics")[1]
    assert {"0", "1"} == {sample.labels["process"] for family in read_plain(both) for sample in family.samples}
    pids = find_pids(worker)
    os.kill(pids[0], signal.SIGSTOP)
    hangs = (503, "not now: process 0 does not respond\n")
    await_true(lambda: hangs == get_patiently(worker, "/readyz"))  # a rebalance may also hold process 1 for a moment
    for path in ("/livez", "/startupz"):
        assert hangs == get_patiently(worker, path)
    _, left = get_patiently(worker, "/metrics", accept=OPENMETRICS)
    samples = [sample for family in read_openmetrics(left) for sample in family.samples]  # type: ignore[no-untyped-call]
    assert {"1"} == {sample.labels["process"] for sample in samples}
    os.kill(pids[0], signal.SIGCONT)
    await_true(worker.is_ready)

    worker.kill()
    await_ends(pids)
    assert ["supervisor"] * 2 == [event["signal"] for event in read_events(worker, "shutdown_started")]
    assert [0, 0] == [event["exit_code"] for event in read_events(worker, "worker_stopped")]


def test_a_mistake_ends_all_with_one_message(
    bootstrap_servers: str, topics: Topics, create_worker: StartWorker
) -> None:
    """Only a worker notices the missing topic; the others have not started by then."""
    worker = create_worker(describe(bootstrap_servers, topics, EMOTAG_INPUT__TOPIC=f"missing-{topics.input}"))
    worker.launch()
    assert 2 == worker.wait(60)
    (stopped,) = read_events(worker, "worker_stopped")
    assert (0, 2) == (stopped["process"], stopped["exit_code"])
    (last,) = read_events(worker, "supervisor_stopped")
    assert (stopped["reason"], 2) == (last["reason"], last["exit_code"])
    assert f"missing-{topics.input}" in last["reason"]


def test_two_processes_share_a_range_of_time_and_end(bootstrap_servers: str, topics: Topics) -> None:
    wanted = send_around(bootstrap_servers, topics, within=300)
    worker = RangeWorker(describe(bootstrap_servers, topics, EMOTAG_BATCH__MAX_RECORDS="20"))
    try:
        worker.launch()
        assert 0 == worker.wait(60)
        ended = read_events(worker, "process_ended")
        assert {(0, "the range is done"), (1, "the range is done")} == {
            (end["process"], end["reason"]) for end in ended
        }
        assert "all processes are done" == read_events(worker, "supervisor_stopped")[0]["reason"]
    finally:
        worker.close()
    assert dict.fromkeys(wanted, 1) == read_until(bootstrap_servers, topics, len(wanted), timeout_s=10).times()


def get_patiently(worker: LocalWorker, path: str, accept: str = "*/*") -> tuple[int, str]:
    """Send a GET to the admin port, and wait longer than the supervisor waits for a worker."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.admin_port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
