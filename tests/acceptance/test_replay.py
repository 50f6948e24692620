"""A replay that is killed, runs twice at once, or has no transactions repeats nothing."""

import os
import subprocess
import sys

import pytest

from tests.conftest import Topics
from tests.stream import send

from .test_dead_letters import NO_TEXT, NOT_JSON, letters, lying_in, put_back, replay


@pytest.mark.timeout(240)
@pytest.mark.parametrize("reason", ["", "NotJson"])
def test_a_replay_that_is_killed_goes_on_where_it_was_and_repeats_nothing(
    bootstrap_servers: str, topics: Topics, reason: str
) -> None:
    """kill -9, three times, in the middle of many small transactions."""
    count = 3000
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON] * count))
    arguments = ["dlq", "replay", "--yes", *(["--reason", reason] if reason else [])]
    environment = {**os.environ, **topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": "5"}
    for kill in range(1, 4):
        with subprocess.Popen([sys.executable, "-m", "emotag_worker", *arguments], env=environment) as process:
            for _ in lying_in(bootstrap_servers, topics.input, topics.partitions, most=kill * 300):
                pass
            process.kill()
        assert -9 == process.returncode
    # A dry run does not end the open transaction, and waits for it.
    due = int(replay(bootstrap_servers, topics, "--dry-run").split()[0])
    before = sum(put_back(bootstrap_servers, topics).values())
    assert 900 <= before < count
    assert count - before == due
    said = replay(bootstrap_servers, topics, *arguments[2:])
    after = put_back(bootstrap_servers, topics)
    assert (count, {1}) == (len(after), set(after.values()))
    assert due == int(said.split()[0])


@pytest.mark.timeout(240)
def test_two_replays_at_once_put_nothing_back_twice(bootstrap_servers: str, topics: Topics) -> None:
    """The later one takes over, and the first one reports it."""
    count = 2000
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON] * count))
    environment = {**os.environ, **topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": "5"}
    command = [sys.executable, "-m", "emotag_worker", "dlq", "replay", "--yes"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as first:
        for _ in lying_in(bootstrap_servers, topics.input, topics.partitions, most=100):
            pass
        replay(bootstrap_servers, topics, "--yes")
        _, complaint = first.communicate(timeout=60)
    assert 1 == first.returncode
    assert "another replay of this group took over" in complaint
    assert 1 == len(complaint.splitlines())
    after = put_back(bootstrap_servers, topics)
    assert (count, {1}) == (len(after), set(after.values()))


def test_a_replay_without_transactions_remembers_too(bootstrap_servers: str, topics: Topics) -> None:
    """EMOTAG_DELIVERY=at_least_once, one reason after the other."""
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON, NO_TEXT]))
    for arguments in (["--reason", "NotJson"], [], []):
        replay(bootstrap_servers, topics, "--yes", *arguments, EMOTAG_DELIVERY="at_least_once")
    assert [1, 1] == list(put_back(bootstrap_servers, topics).values())
