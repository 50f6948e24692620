"""`make chaos`: the long storm, its counts in one line. `--seed` repeats one."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from worker.local import valkey

from .cluster import cluster
from .storm import Goal, Storm


def main() -> int:
    """Run; 1 where a promise was broken, or less happened than was to."""
    parser = argparse.ArgumentParser(description="Kill, cut, pause and corrupt, and count what comes out.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--broker-restarts", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=24.0, help="storm no longer than that")
    asked = parser.parse_args()
    goal = Goal(asked.kills, asked.broker_restarts, asked.minutes * 60)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="emotag-chaos-") as folder,
        cluster(Path(folder)) as brokers,
        valkey() as cache,
    ):
        account, faults = Storm(brokers, cache, random.Random(asked.seed)).run(goal, told=_say)
    minutes = round((time.monotonic() - began) / 60, 1)
    sys.stdout.write(account.line(**faults, seed=asked.seed, minutes=minutes) + "\n")
    enough = faults["kills"] >= goal.kills and faults["broker_restarts"] >= goal.broker_restarts
    return 0 if account.clean and enough else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
