"""Batches that are read and written like the worker's, with each call timed: poll, produce, offsets, commit."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

from confluent_kafka import TopicPartition

from benchmarks.stream.lane import Lane
from benchmarks.texts import TextSupply
from emotag_worker.kafka import clients
from emotag_worker.kafka.clients import create_offset_reader
from emotag_worker.kafka.input.positions import Positions
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.output.sink import DeliveryFailures
from emotag_worker.observability.logs import configure_logging
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import LogSettings, loader
from emotag_worker.wire.record import next_offsets

FETCHED_S = 1.0
"""After this time the client has fetched the records, so a poll reads its queue and does not wait for the broker."""

MAX_BYTES = 2**30
"""Large enough that only the number of records limits a batch."""

MARKERS_S = 0.1
"""After this time the broker has written the markers of a small transaction."""

VALUE = b'{"id":"42","emotions":[{"label":"gratitude","score":0.983}],"sentiment":"positive","ekman":["joy"],'.ljust(
    480
)
"""A value with the length of a result."""


class TimedBatches:
    """A consumer and a transactional producer, with the worker's own properties.

    Attributes:
        seconds: of each batch, by call.
    """

    def __init__(self, lane: Lane, *, size: int, batches: int) -> None:
        self._size = size
        self._lane = lane
        self.seconds: dict[str, list[float]] = defaultdict(list)
        configure_logging(LogSettings(level="error"))  # no events about the group
        flags = {"kafka": {"bootstrap_servers": lane.bootstrap_servers, "group_id": lane.group}}
        chosen = loader.load(flags=flags)
        lane.fill(TextSupply().take(size * batches))
        telemetry = Telemetry()
        reader = create_offset_reader(chosen)
        positions = Positions(reader, start="earliest", deadline_s=60, telemetry=telemetry)
        self._source = KafkaSource(lane.input, deadline_s=60, telemetry=telemetry, positions=positions)
        self._source.attach(lambda: clients.create_consumer(chosen, self._source.note_error))
        self._producer = clients.create_producer(chosen, self._source.note_error, DeliveryFailures())
        self._producer.init_transactions(60)
        self._source.subscribe(before_revoke=lambda: None, when_lost=dict)
        while not self._source.poll(1, MAX_BYTES, timeout_s=1):
            pass
        time.sleep(FETCHED_S)

    def process_batch(self, *, at_once: bool) -> None:
        """Read and write up to *size* records; *at_once* after the previous batch, or when the broker has finished it.

        A commit returns before its markers are written. Until then the broker rejects the offsets of the next
        transaction, and the client retries after its `retry.backoff.ms`.
        """
        if not at_once:
            time.sleep(MARKERS_S)
        with self._time("poll"):
            records = self._source.poll(self._size, MAX_BYTES, timeout_s=1)
        member = self._source.member()
        offsets = [TopicPartition(*place, offset) for place, offset in next_offsets(records).items()]
        self._producer.begin_transaction()
        with self._time("produce"):
            for record in records:
                self._producer.produce(self._lane.output, value=VALUE, timestamp=record.timestamp_ms or 0)
        with self._time("offsets into the transaction" + ", right after a commit" * at_once):
            self._producer.send_offsets_to_transaction(offsets, member.group_metadata())
        with self._time("commit"):
            self._producer.commit_transaction()

    def close(self) -> None:
        """Leave the group."""
        self._source.close()

    @contextlib.contextmanager
    def _time(self, call: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[call].append(time.perf_counter() - began)
