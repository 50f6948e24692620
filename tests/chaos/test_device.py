"""A device that is slow, runs out of memory, fails on one text, or is gone."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from emotag_model import artifact
from emotag_model.tokens import Tokens
from emotag_worker.local import LocalWorker
from tests.acceptance.test_faults import counted
from tests.conftest import Topics
from tests.stream import Reader, send, text

from .rig.rigged import VARIABLE

POISON = "zebra"
TEXTS = [text(f"a good day {number}") for number in range(64)]


class RiggedWorker(LocalWorker):
    """A worker with a faulty device."""

    def __init__(self, rig: str, environment: Mapping[str, str]) -> None:
        fixed = {"EMOTAG_MODEL__PRECISION": "fp32", "EMOTAG_MODEL__ENGINE": "openvino", VARIABLE: rig}
        super().__init__({**fixed, **environment})

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.chaos.rig.rigged"]


@pytest.fixture
def reader(bootstrap_servers: str, topics: Topics) -> Iterator[Reader]:
    made = Reader(bootstrap_servers, topics)
    yield made
    made.close()


@pytest.fixture(scope="module")
def poison() -> int:
    """Return the token of a word."""
    shipped = artifact.load(artifact.DEFAULT)
    (found,) = Tokens(shipped.tokenizer, max_tokens=8)([POISON])
    assert 3 == len(found.ids)
    return found.ids[1]


@pytest.mark.timeout(180)
def test_a_batch_slower_than_the_poll_interval_costs_neither_membership_nor_double_work(
    bootstrap_servers: str, topics: Topics, reader: Reader
) -> None:
    """Each batch takes longer than max.poll.interval.ms; lag is reported meanwhile; no record is processed twice."""
    properties = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_KAFKA__PROPERTIES": json.dumps(properties),
        "EMOTAG_BATCH__MAX_RECORDS": "40",
    }
    placed = send(bootstrap_servers, topics.input, TEXTS[:24])
    with RiggedWorker("slow:7", environment) as slow:
        slow.launch()
        _await_start(slow)
        lags = []
        while reader.read.answered < len(placed):
            reader.take(1.0)
            lags.append(_lag(slow))
        give_up_at = time.monotonic() + 20
        while _lag(slow) and time.monotonic() < give_up_at:
            time.sleep(0.5)  # it is updated every five seconds
        assert 0 == _lag(slow)
        assert max(lags) >= 8
        log = slow.read_log_tail(500)
        assert len(placed) == counted(slow, "emotag_records_total")
    assert dict.fromkeys(placed, 1) == reader.until(len(placed), timeout_s=1).times()
    assert "partitions_lost" not in log
    assert 1 == log.count("partitions_assigned")


@pytest.mark.parametrize("rig", ["text", "nan"])
def test_one_text_that_the_device_cannot_do_is_dead_lettered_and_its_neighbours_are_tagged(
    bootstrap_servers: str, topics: Topics, reader: Reader, poison: int, rig: str
) -> None:
    """The batch is halved down to that text, whether the device raises an error or returns NaN."""
    placed = send(bootstrap_servers, topics.input, [*TEXTS[:30], text(f"a {POISON} it is"), *TEXTS[30:]])
    with RiggedWorker(f"{rig}:{poison}", topics.environment(bootstrap_servers)) as worker:
        worker.start()
        read = reader.until(len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    ((place, _),) = read.dead.items()
    assert POISON.encode() in (placed[place].value or b"")


def test_a_device_that_runs_out_of_memory_gets_smaller_batches(
    bootstrap_servers: str, topics: Topics, reader: Reader
) -> None:
    """No record is refused."""
    placed = send(bootstrap_servers, topics.input, TEXTS)
    with RiggedWorker("memory:8", topics.environment(bootstrap_servers)) as worker:
        worker.start()
        read = reader.until(len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == {place: len(found) for place, found in read.results.items()}


def test_a_device_that_is_gone_ends_the_worker_and_not_the_records(
    bootstrap_servers: str, topics: Topics, reader: Reader
) -> None:
    """The device fails on a harmless text too, so no record is the cause. Another worker tags them all."""
    with RiggedWorker("gone:3", topics.environment(bootstrap_servers)) as worker:
        worker.start()
        placed = send(bootstrap_servers, topics.input, TEXTS)
        assert 1 == worker.wait(60)
        assert "the device cannot run the model" in worker.read_log_tail(1)
    with LocalWorker(topics.environment(bootstrap_servers)) as worker:
        worker.start()
        read = reader.until(len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == {place: len(found) for place, found in read.results.items()}


def _await_start(worker: LocalWorker) -> None:
    """Wait until the model is loaded. Ready is only a worker that has committed something."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        with contextlib.suppress(OSError):  # nobody listens on the port yet
            if worker.get("/startupz")[0] == 200:
                return
        time.sleep(0.2)
    raise AssertionError(worker.read_log_tail())


def _lag(worker: LocalWorker) -> float:
    """Return the lag of all partitions together."""
    lines = worker.get("/metrics")[1].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("emotag_lag_records{"))
