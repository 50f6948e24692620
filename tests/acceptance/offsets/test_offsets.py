"""`emotag offsets`: show where a group is, and move it while nobody reads."""

import json
import time
from datetime import UTC, datetime

import pytest
from confluent_kafka.admin import AdminClient

from tests.acceptance.conftest import StartWorker
from tests.acceptance.test_commands import emotag
from tests.conftest import Topics
from tests.stream import Reader, send

from .test_start import WAIT_S, fetch_committed, some

pytestmark = pytest.mark.timeout(900)


def test_a_group_is_moved_back_only_while_it_has_no_members(
    bootstrap_servers: str, admin: AdminClient, topics: Topics, start_worker: StartWorker
) -> None:
    """The plan alone changes nothing; after the reset, exactly the records since that time are tagged again."""
    cut_ms = int(time.time() - 1800) * 1000
    old = send(bootstrap_servers, topics.input, some(20, at_ms=cut_ms - 1))
    new = send(bootstrap_servers, topics.input, some(25, at_ms=cut_ms))
    environment = topics.environment(bootstrap_servers)
    reset = ["offsets", "reset", "--to-time", datetime.fromtimestamp(cut_ms / 1000, UTC).isoformat()]
    worker = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    reader.until(45, timeout_s=WAIT_S)
    refused = emotag(*reset, "--yes", **environment)
    assert (2, True) == (refused.returncode, topics.group in refused.stderr and "members: 1" in refused.stderr)
    planned = emotag(*reset, **environment)  # a plan changes nothing, so it is possible meanwhile
    assert 0 == planned.returncode, planned.stderr
    worker.stop()
    before = fetch_committed(admin, topics)
    planned = emotag(*reset, **environment)
    assert 0 == planned.returncode, planned.stderr
    assert "25 offsets are read again, 0 are skipped" in planned.stdout
    assert "--yes" in planned.stderr
    assert before == fetch_committed(admin, topics)
    assert 0 == emotag(*reset, "--yes", **environment).returncode
    shown = [json.loads(line) for line in emotag("offsets", "show", "--json", **environment).stdout.splitlines()]
    assert 25 == sum(each["lag"] for each in shown)
    assert fetch_committed(admin, topics) == {each["partition"]: each["committed"] for each in shown}
    worker.launch()
    give_up_at = time.monotonic() + WAIT_S
    while reader.read.times().total() < 70 and time.monotonic() < give_up_at:
        reader.take(0.2)
    assert dict.fromkeys(old, 1) | dict.fromkeys(new, 2) == reader.read.times()
    reader.close()


def test_a_group_without_offsets_is_shown_and_set(bootstrap_servers: str, admin: AdminClient, topics: Topics) -> None:
    send(bootstrap_servers, topics.input, some(20))
    environment = topics.environment(bootstrap_servers)
    assert "none committed" in emotag("offsets", "show", **environment).stdout
    done = emotag("offsets", "reset", "--to-latest", "--yes", **environment)
    assert 0 == done.returncode, done.stderr
    assert 20 == sum(fetch_committed(admin, topics).values())
    assert "none committed" not in emotag("offsets", "show", **environment).stdout
