"""`make chaos`: three long storms, each with its counts in one line. `--seed` repeats one of them.

The first has members that the classic protocol assigns, the second members of KIP-848, and the third runs with Kafka's
default timings, without the shorter ones of `emotag local`.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotag_worker.local import run_valkey

from .rig.cluster import KAFKA_TIMINGS, cluster
from .rig.storm import Goal, Membership, Storm


@dataclass(frozen=True)
class Kind:
    """A kind of storm.

    Args:
        timings: of the brokers; empty for those of `emotag local`.
    """

    name: str
    membership: Membership
    timings: Mapping[str, str] = field(default_factory=dict)


KINDS = (
    Kind("classic", Membership()),
    Kind("kip848", Membership(properties={"group.protocol": "consumer"})),
    Kind("kafka_timings", Membership(properties={}), KAFKA_TIMINGS),
)
"""The kind of seed N is the Nth of these, and again from the first."""


def main() -> int:
    """Run the storms; return 1 if a promise was broken, or if fewer faults happened than planned."""
    parser = argparse.ArgumentParser(description="Kill, cut, pause and corrupt, and count what comes out.")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--broker-restarts", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=24.0, help="each storm no longer than that")
    asked = parser.parse_args()
    goal = Goal(asked.kills, asked.broker_restarts, asked.minutes * 60)
    kept = [run(seed, goal) for seed in asked.seed]  # all storms, also after a broken promise
    return 0 if all(kept) else 1


def run(seed: int, goal: Goal) -> bool:
    """Run one storm and print its line; return True if every promise was kept, and enough faults happened."""
    kind = KINDS[(seed - 1) % len(KINDS)]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="emotag-chaos-") as folder,
        cluster(Path(folder), workers=kind.membership.workers, timings=kind.timings) as brokers,
        run_valkey() as cache,
    ):
        storm = Storm(brokers, cache, random.Random(seed), kind.membership)
        account, faults = storm.run(goal, told=_say)
    minutes = round((time.monotonic() - began) / 60, 1)
    frozen_s = round(storm.frozen_s, 1)
    line = account.line(**faults, frozen_s=frozen_s, seed=seed, kind=kind.name, minutes=minutes)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    enough = faults["kills"] >= goal.kills and faults["broker_restarts"] >= goal.broker_restarts
    return account.clean and enough


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
