"""Writes of a member whose group changed after the poll, with a real broker."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Consumer

from emotag_worker.errors import BatchAborted
from emotag_worker.kafka import clients
from emotag_worker.kafka.clients import create_offset_reader
from emotag_worker.kafka.input.member import Member
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.kafka.output.sink import DeliveryFailures, create_sink
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.service import open_source
from emotag_worker.settings import Settings, loader
from emotag_worker.wire.record import Record, next_offsets
from tests.conftest import QUIET, Topics
from tests.stream import send, text

PROTOCOLS = {
    "cooperative": {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"},
    "KIP-848": {"group.protocol": "consumer"},
}


class AtThePoll:
    """A member that sends the generation of the poll, although its group has a later one."""

    def __init__(self, member: Member) -> None:
        self._metadata = member.group_metadata()

    def group_metadata(self) -> object:
        return self._metadata

    def commit(self, offsets: object) -> None:
        raise AssertionError("transactions commit no offsets outside")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_member_that_joins_between_a_poll_and_its_write_aborts_nothing(
    bootstrap_servers: str, topics: Topics, protocol: str
) -> None:
    """The generation grows and no partition moves. Classic groups refuse the generation of the poll."""
    settings = loader.load(
        flags={
            "kafka": {
                "bootstrap_servers": bootstrap_servers,
                "group_id": topics.group,
                "properties": PROTOCOLS[protocol],
            },
            "input": {"topic": topics.input},
        }
    )
    send(bootstrap_servers, topics.input, [text("hello")])
    with joined(settings, topics, protocol) as (source, records):
        failures = DeliveryFailures()
        sink = create_sink(settings, clients.create_producer(settings, source.note_error, failures), failures)
        sink.open()
        member = source.member()
        stale = AtThePoll(member)
        with closing(join_beside(settings, topics, protocol)) as other:
            give_up_at = time.monotonic() + 60
            while member.group_metadata() == stale.group_metadata():
                assert time.monotonic() < give_up_at, "the generation did not change"
                other.poll(0.1)
                source.stay()
            if protocol == "cooperative":  # a KIP-848 group of Kafka 4.4 also accepts the epoch of the assignment
                with pytest.raises(BatchAborted):
                    sink.write([], next_offsets(records), stale)
            sink.write([], next_offsets(records), member)


@contextmanager
def joined(settings: Settings, topics: Topics, protocol: str) -> Iterator[tuple[KafkaSource, list[Record]]]:
    """Yield a source that is a member of its group, and the records that it has polled."""
    source = open_source(settings, create_offset_reader(settings), Telemetry())
    source.subscribe(before_revoke=lambda: None, when_lost=dict)
    records: list[Record] = []
    give_up_at = time.monotonic() + 60
    while not records and time.monotonic() < give_up_at:
        records = source.poll(10, 1_000_000, timeout_s=0.1)
    assert records
    yield source, records
    source.close()


def join_beside(settings: Settings, topics: Topics, protocol: str) -> Consumer:
    """Return another member of the group, which reads another topic: it takes no partition from the source."""
    classic = {"partition.assignment.strategy": "cooperative-sticky"}
    other = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": topics.group,
            **(classic if protocol == "cooperative" else {}),
            **PROTOCOLS[protocol],
        },
        logger=QUIET,
    )
    other.subscribe([topics.dlq])
    return other
