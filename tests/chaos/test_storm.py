"""The short storm; the long one is `make chaos`."""

import random
import sys
from pathlib import Path

import pytest

from emotag_worker.local import LocalValkey

from .rig.cluster import cluster
from .rig.storm import Goal, Storm


@pytest.mark.timeout(420)
def test_nothing_is_lost_and_nothing_comes_twice_in_a_short_storm(own_valkey: LocalValkey, tmp_path: Path) -> None:
    """Three brokers, three workers: kills at every stage, restarts, pauses, cut connections, isolated workers, open and
    aborted transactions upstream, new partitions, corrupt cache entries, results that the brokers refuse."""
    with cluster(tmp_path, workers=3) as brokers:
        goal = Goal(kills=12, broker_restarts=2, seconds=90)
        storm = Storm(brokers, own_valkey, random.Random(5))
        account, faults = storm.run(goal, told=print)
    line = account.line(**faults, frozen_s=round(storm.frozen_s, 1))
    sys.stdout.write(line + "\n")
    assert account.clean, line
    assert faults["kills"] >= 5, line
    assert account.ahead, line
