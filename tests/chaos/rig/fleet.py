"""The workers of one group, and the supervisor that restarts them, as Kubernetes would."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Self

from emotag_worker.errors import LocalError
from emotag_worker.local import LocalWorker

from .doomed import STAGES, VARIABLE

MISTAKE = 2
"""The exit code of a user's mistake: a worker under a supervisor must never return it."""

ADMIN_ASSERTION = "rd_kafka_enq_once"
"""In the log of a worker that an admin request ended: librdkafka aborts the process (its issue 3663)."""

PROPERTIES: Mapping[str, object] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}


class DoomedWorker(LocalWorker):
    """A worker that ends itself at a stage, if one is set.

    Attributes:
        doom: `compute:3`, or nothing; for the next launch.
    """

    doom = ""

    @property
    def ended(self) -> bool:
        """True if its process has ended."""
        return self.code() is not None

    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def _build_command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.chaos.rig.doomed"]

    def _build_environment(self) -> Mapping[str, str]:
        return {**super()._build_environment(), VARIABLE: self.doom}


class Fleet:
    """Workers, some of them static members of the group.

    Args:
        environment: the variables of all workers.
        properties: librdkafka's, of all workers.
        servers: the brokers' addresses for each worker, if they have different ones.

    Attributes:
        kills: `kill -9` so far, by us or by themselves at a stage.
        ended: exit codes of workers that ended by themselves otherwise, which a supervisor then starts again.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        static: int,
        dynamic: int,
        draw: random.Random,
        properties: Mapping[str, object] = PROPERTIES,
        servers: Sequence[str] = (),
    ) -> None:
        self._draw = draw
        identities = [{"group.instance.id": f"worker-{number}"} for number in range(static)] + [{}] * dynamic
        addresses: list[dict[str, str]] = [{"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": address} for address in servers]
        addresses = addresses or [{}] * len(identities)
        self._workers = [
            DoomedWorker({**environment, **address, "EMOTAG_KAFKA__PROPERTIES": json.dumps({**properties, **identity})})
            for identity, address in zip(identities, addresses, strict=True)
        ]
        self._away: dict[DoomedWorker, float] = {}
        self._paused: dict[DoomedWorker, float] = {}
        self.kills = 0
        self.ended: list[int] = []

    def launch(self) -> None:
        """Start all workers, and wait until each has joined the group."""
        for worker in self._workers:
            worker.launch()
        give_up_at = time.monotonic() + 120
        while not all(worker.is_ready() for worker in self._workers):
            if time.monotonic() > give_up_at:
                raise LocalError("the workers have not joined their group yet")
            time.sleep(0.2)

    def tend(self) -> None:
        """Restart workers that have ended, and wake those that were paused long enough.

        Raises:
            LocalError: a worker ended with the code of a user's mistake, or with an unexpected error.
        """
        now = time.monotonic()
        for worker, until in list(self._paused.items()):
            if now > until:
                worker.resume()
                del self._paused[worker]
        for worker in self._workers:
            code = worker.code()
            if code is None or now < self._away.get(worker, 0.0):
                continue
            if code < 0 and ADMIN_ASSERTION in worker.read_log_tail(40):
                raise LocalError(f"a request about the lag ended a worker:\n{worker.read_log_tail()}")
            if code == MISTAKE or (code > 0 and "Traceback" in worker.read_log_tail(40)):
                raise LocalError(f"a worker ended with {code}; its log ends with:\n{worker.read_log_tail()}")
            if code < 0 and worker.doom:
                self.kills += 1
            elif code > 0:
                self.ended.append(code)
            worker.doom = ""
            worker.launch()

    def kill(self) -> None:
        """Kill one worker now; it restarts at once, or after the group has removed it."""
        worker = self._any()
        if not worker.ended:
            worker.kill()
            worker.doom = ""
            self.kills += 1
            self._away[worker] = time.monotonic() + self._draw.choice((0.0, 0.0, 8.0))
        self._paused.pop(worker, None)

    def doom(self) -> None:
        """Restart one worker so that it kills itself at a random stage."""
        worker = self._any()
        if not worker.ended:
            worker.kill()
            self.kills += 1
        self._paused.pop(worker, None)
        self._away.pop(worker, None)
        worker.doom = f"{self._draw.choice(STAGES)}:{self._draw.randint(1, 6)}"
        worker.launch()

    def pause(self) -> None:
        """SIGSTOP one worker: for a moment, or until its partitions have gone to others."""
        worker = self._any()
        if not worker.ended and worker not in self._paused:
            worker.pause()
            self._paused[worker] = time.monotonic() + self._draw.choice((1.0, 3.0, 9.0))

    def leave(self) -> None:
        """SIGTERM one worker: it finishes its batch, and comes back two seconds later."""
        worker = self._any()
        if not worker.ended and worker not in self._paused:
            os.kill(worker.pid, signal.SIGTERM)
            self._away[worker] = time.monotonic() + 2.0

    def settle(self) -> None:
        """Wake all workers and plan no more kills."""
        for worker in self._paused:
            worker.resume()
        self._paused.clear()
        self._away.clear()
        for worker in self._workers:
            if worker.doom and not worker.ended:
                worker.kill()
                self.kills += 1
                worker.doom = ""
        self.tend()

    def log_tails(self) -> str:
        """Return the ends of their logs."""
        return "\n\n".join(worker.read_log_tail(40) for worker in self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.close()

    def _any(self) -> DoomedWorker:
        return self._draw.choice(self._workers)
