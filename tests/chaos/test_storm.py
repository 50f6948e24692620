"""The short storm; the long one is `make chaos`."""

import random
import sys
from pathlib import Path

import pytest

from worker.local import LocalValkey

from .cluster import cluster
from .storm import Goal, Storm


@pytest.mark.timeout(420)
def test_nothing_is_lost_and_nothing_comes_twice_in_a_short_storm(own_valkey: LocalValkey, tmp_path: Path) -> None:
    """Three brokers, three workers: kills at every stage, restarts, pauses, cut connections, a harmed cache."""
    with cluster(tmp_path) as brokers:
        goal = Goal(kills=12, broker_restarts=2, seconds=90)
        account, faults = Storm(brokers, own_valkey, random.Random(5)).run(goal, told=print)
    line = account.line(**faults)
    sys.stdout.write(line + "\n")
    assert account.clean, line
    assert faults["kills"] >= 5, line
