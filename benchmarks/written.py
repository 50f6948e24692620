"""Steps read and written as the worker does it, each call timed: poll, produce, offsets, commit."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

from confluent_kafka import TopicPartition

from worker import clients, settings
from worker.delivery import DeliveryFailures
from worker.offsets import next_offsets
from worker.source import Source
from worker.telemetry import Telemetry, configure_logging

from .lane import Lane
from .messages import Supply

FETCHED_S = 1.0
"""By then the client has fetched what is there, so that a poll takes from its queue and does not wait for a broker."""

ALL_BYTES = 2**30
"""A step's records are counted here, not its bytes."""

RESTED_S = 0.1
"""By then the broker has written the markers of a small transaction."""

VALUE = b'{"id":"42","emotions":[{"label":"gratitude","score":0.983}],"sentiment":"positive","ekman":["joy"],'.ljust(
    480
)
"""As long as a result is."""


class WrittenSteps:
    """A consumer and a transactional producer, with the worker's own properties.

    Attributes:
        seconds: of each step, by what was done.
    """

    def __init__(self, lane: Lane, *, size: int, steps: int) -> None:
        self._size = size
        self._lane = lane
        self.seconds: dict[str, list[float]] = defaultdict(list)
        configure_logging(settings.LogSettings(level="error"))  # what a worker tells of its group is no news here
        chosen = settings.load(flags={"kafka": {"bootstrap_servers": lane.bootstrap_servers, "group_id": lane.group}})
        lane.fill(Supply().take(size * steps))
        self._source = Source(lane.input, deadline_s=60, telemetry=Telemetry())
        self._source.attach(clients.consumer(chosen, self._source.note_error, self._source.note_gap))
        self._producer = clients.producer(chosen, self._source.note_error, DeliveryFailures())
        self._producer.init_transactions(60)
        self._source.subscribe(before_revoke=lambda: None, when_lost=dict)
        while not self._source.poll(1, ALL_BYTES, timeout_s=1):
            pass
        time.sleep(FETCHED_S)

    def step(self, *, at_once: bool) -> None:
        """Read and write up to *size* records; *at_once* after the step before, or when the broker is done with that.

        A commit returns before its markers are written. Until they are, the broker refuses the next transaction's
        offsets, and the client asks again after its `retry.backoff.ms`.
        """
        if not at_once:
            time.sleep(RESTED_S)
        with self._timed("poll"):
            records = self._source.poll(self._size, ALL_BYTES, timeout_s=1)
        offsets = [TopicPartition(*place, offset) for place, offset in next_offsets(records).items()]
        self._producer.begin_transaction()
        with self._timed("produce"):
            for record in records:
                self._producer.produce(self._lane.output, value=VALUE, timestamp=record.timestamp_ms or 0)
        with self._timed("offsets into the transaction" + ", right after a commit" * at_once):
            self._producer.send_offsets_to_transaction(offsets, self._source.group_metadata())
        with self._timed("commit"):
            self._producer.commit_transaction()

    def close(self) -> None:
        """Leave the group."""
        self._source.close()

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[what].append(time.perf_counter() - began)
