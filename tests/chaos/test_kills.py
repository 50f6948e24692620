"""A worker that is killed at every stage, one after the other."""

import pytest

from emotag_worker.local import LocalValkey
from tests.conftest import Topics
from tests.mixture import mixture
from tests.stream import Reader, send

from .rig.doomed import STAGES
from .rig.fleet import DoomedWorker


@pytest.mark.timeout(600)
def test_a_worker_killed_at_any_stage_has_neither_lost_nor_repeated_anything(
    bootstrap_servers: str, topics: Topics, own_valkey: LocalValkey
) -> None:
    """Kill the worker at each stage twice, in its first and in its third batch there. The next worker continues."""
    placed = send(bootstrap_servers, topics.input, mixture(1_500, seed=2))
    worker = DoomedWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_CACHE__URL": own_valkey.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",
            "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "one"}',
            "EMOTAG_BATCH__MAX_RECORDS": "24",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    with worker:
        for times in (1, 3):
            for stage in STAGES:
                worker.doom = f"{stage}:{times}"
                worker.launch()
                assert -9 == worker.wait(60), f"{worker.doom}: {worker.read_log_tail()}"
        reader.take_for(1.0)
        assert 0 < reader.read.answered < 1_500  # otherwise the last ones were killed while there was nothing to do
        worker.doom = ""
        worker.start()
        read = reader.until(1_500, timeout_s=90)
        reader.close()
    assert dict.fromkeys(placed, 1) == read.times()


@pytest.mark.timeout(480)
def test_at_least_once_a_worker_killed_between_writing_and_committing_has_lost_nothing(
    bootstrap_servers: str, topics: Topics
) -> None:
    """The worker is killed after some records or after a whole batch was acknowledged: some come twice."""
    placed = send(bootstrap_servers, topics.input, mixture(300, seed=3))
    worker = DoomedWorker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_DELIVERY": "at_least_once",
            "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "one"}',
            "EMOTAG_BATCH__MAX_RECORDS": "24",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    with worker:
        for doom in ("produce:1", "produce:30", "written:1", "written:2"):
            worker.doom = doom
            worker.launch()
            assert -9 == worker.wait(60), f"{worker.doom}: {worker.read_log_tail()}"
        worker.doom = ""
        worker.start()
        read = reader.until(300, timeout_s=90)
        reader.close()
    assert set(placed) == set(read.times())
    assert len(read.times()) < sum(read.times().values())  # otherwise it was not killed in between
