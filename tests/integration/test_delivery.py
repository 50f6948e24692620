"""Both sinks with real brokers that refuse records: only these are replaced, in few attempts."""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from emotag_schemas.dead_letter import StubHeaders
from emotag_worker.delivery import Delivery
from emotag_worker.dlq.refusal_limit import RefusalLimit
from emotag_worker.errors import NotUtf8
from emotag_worker.kafka import clients
from emotag_worker.kafka.broker_errors import RECORD_REFUSALS
from emotag_worker.kafka.compaction import CompactedTopics
from emotag_worker.kafka.offsets import commit_offsets
from emotag_worker.kafka.output.sink import DeliveryFailures, create_sink
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.settings import loader
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Answer, Outgoing, Partition, Record
from tests.conftest import QUIET, Topics
from tests.stream import headers_of

DAY_MS = 24 * 60 * 60 * 1000
BOTH = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
Create = Callable[..., Topics]


@pytest.fixture
def create(admin: AdminClient) -> Create:
    """Return a function that creates one-partition topics with these properties."""

    def make(**properties: Mapping[str, str]) -> Topics:
        unique = uuid.uuid4().hex[:8]
        made = Topics(f"texts-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", 1)
        given = {
            name: properties.get(kind, {})
            for kind, name in (("input", made.input), ("output", made.output), ("dlq", made.dlq))
        }
        new = [NewTopic(name, 1, 1, config=dict(config)) for name, config in given.items()]
        for future in admin.create_topics(new).values():
            future.result()
        return made

    return make


class Group:
    """A consumer group without members."""

    def __init__(self, servers: str, name: str) -> None:
        self.consumer = Consumer({"bootstrap.servers": servers, "group.id": name}, logger=QUIET)

    def group_metadata(self) -> object:
        return self.consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        commit_offsets(self.consumer, [TopicPartition(*partition, offset) for partition, offset in offsets.items()])


def deliver(servers: str, topics: Topics, answers: Sequence[Answer], delivery: str) -> float:
    """Write answers and commit their offsets; return the seconds that it took."""
    names = {"output": {"topic": topics.output}, "dlq": {"topic": topics.dlq}, "delivery": delivery}
    settings = loader.load(flags={**names, "kafka": {"bootstrap_servers": servers, "group_id": topics.group}})
    failures = DeliveryFailures()
    sink = create_sink(settings, clients.create_producer(settings, lambda error: None, failures), failures)
    sink.open()
    group = Group(servers, topics.group)
    limit = RefusalLimit(most=0, can_read=lambda: False)
    began = time.monotonic()
    requires_key = CompactedTopics(settings).__contains__
    writer = Delivery(sink, encoder_of(topics), limit, Telemetry(), requires_key=requires_key)
    writer.write(answers, {(topics.input, 0): len(answers)}, group)
    took_s = time.monotonic() - began
    (committed,) = group.consumer.committed([TopicPartition(topics.input, 0)], timeout=10)
    assert len(answers) == committed.offset
    group.consumer.close()
    return took_s


def read(servers: str, topic: str) -> list[Message]:
    """Read every committed record."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "enable.partition.eof": True}, logger=QUIET
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        found.append(message)
    consumer.close()
    return found


def encoder_of(topics: Topics) -> RecordEncoder:
    return RecordEncoder({}, topics.output, topics.dlq, topics.group, "1")


def result(topics: Topics, offset: int, *, key: bytes | None = b"k", value: bytes = b"", ahead_ms: int = 0) -> Answer:
    at = int(time.time()) * 1000 - 1000 + ahead_ms
    record = Record(topics.input, 0, offset, key, b"text %d" % offset, (), at)
    return Answer(record, Outgoing(topics.output, key, value or b"%d" % offset, (), at), "computed")


@BOTH
@pytest.mark.parametrize(
    "late", [{50}, {3, 50}, set(range(20, 60)), set(range(100))], ids=["one", "two", "many", "all"]
)
def test_refused_timestamps_are_replaced_and_no_others(
    bootstrap_servers: str, create: Create, late: set[int], delivery: str
) -> None:
    """With one late record, the client reports every record of the batch; with more, it reports another error."""
    topics = create()
    answers = [result(topics, offset, ahead_ms=2 * DAY_MS if offset in late else 0) for offset in range(100)]
    before = [answer.outgoing and answer.outgoing.timestamp_ms for answer in answers]
    deliver(bootstrap_servers, topics, answers, delivery)
    found = {int(message.value() or b""): message.timestamp()[1] for message in read(bootstrap_servers, topics.output)}
    assert list(range(100)) == sorted(found)
    assert late == {offset for offset, timestamp_ms in found.items() if timestamp_ms != before[offset]}
    assert all(abs(found[offset] - time.time() * 1000) < DAY_MS / 24 for offset in late)


@BOTH
@pytest.mark.parametrize("keyless", [{50}, {3, 50}, set(range(100))], ids=["one", "two", "all"])
def test_results_without_a_key_become_dead_letters_and_no_others(
    bootstrap_servers: str, create: Create, keyless: set[int], delivery: str
) -> None:
    topics = create(output={"cleanup.policy": "compact"})
    answers = [result(topics, offset, key=None if offset in keyless else b"k%d" % offset) for offset in range(100)]
    deliver(bootstrap_servers, topics, answers, delivery)
    results = sorted(int(message.value() or b"") for message in read(bootstrap_servers, topics.output))
    assert sorted(set(range(100)) - keyless) == results
    dead = sorted(message.value() or b"" for message in read(bootstrap_servers, topics.dlq))
    assert sorted(b"text %d" % offset for offset in keyless) == dead


@BOTH
def test_dead_letters_that_are_refused_together_become_stubs_only_if_they_are_large(
    bootstrap_servers: str, create: Create, delivery: str
) -> None:
    """Small ones share a produce batch that is too large, and are refused with it."""
    topics = create(dlq={"max.message.bytes": "20000"})
    chosen = random.Random(0)
    answers = [result(topics, offset, ahead_ms=0) for offset in range(40)]
    values = [chosen.randbytes(30_000 if offset in (7, 8, 30) else 3_000) for offset in range(20, 60)]
    for answer, value in zip(answers[20:], values, strict=False):
        answer.record = Record(topics.input, 0, answer.record.offset, b"k", value)
        letter = Outgoing(topics.dlq, b"k", value, headers_for(topics, answer.record))
        answer.outgoing, answer.source, answer.reason = letter, "", "NotUtf8"
    deliver(bootstrap_servers, topics, answers, delivery)
    assert 20 == len(read(bootstrap_servers, topics.output))
    found = read(bootstrap_servers, topics.dlq)
    assert 20 == len(found)
    large = [value for value in values[:20] if len(value) > 20_000]
    assert sorted(set(values[:20]) - set(large)) == sorted(
        message.value() or b"" for message in found if message.value()
    )
    stubs = [StubHeaders.from_headers(headers_of(message)) for message in found if message.value() is None]
    assert [len(value) for value in large] == [stub.value_bytes for stub in stubs if stub is not None]


def headers_for(topics: Topics, record: Record) -> Sequence[tuple[str, bytes | None]]:
    return encoder_of(topics).encode_dead_letter(record, NotUtf8(0), datetime.now(UTC)).headers


def test_a_refused_record_costs_a_few_aborted_transactions_and_no_timeout(
    bootstrap_servers: str, create: Create
) -> None:
    """After a refusal the client never sends the records behind it, and three commits would wait 5 s each for them."""
    topics = create(output={"max.message.bytes": "100000"})
    noise = random.Random(0).randbytes(2_000_000)
    answers = [result(topics, offset, value=noise if offset == 5 else b"") for offset in range(100)]
    assert deliver(bootstrap_servers, topics, answers, "exactly_once") < 10
    assert (99, 1) == (len(read(bootstrap_servers, topics.output)), len(read(bootstrap_servers, topics.dlq)))


@BOTH
def test_results_that_fit_only_apart_are_all_written(bootstrap_servers: str, create: Create, delivery: str) -> None:
    """No result is bad, but a produce batch of the client is larger than the topic allows."""
    topics = create(output={"max.message.bytes": "100000"})
    chosen = random.Random(0)
    answers = [result(topics, offset, value=b"%04d" % offset + chosen.randbytes(1_000) * 5) for offset in range(1_000)]
    deliver(bootstrap_servers, topics, answers, delivery)
    assert list(range(1_000)) == sorted(
        int((message.value() or b"")[:4]) for message in read(bootstrap_servers, topics.output)
    )
    assert [] == read(bootstrap_servers, topics.dlq)


@BOTH
def test_three_hundred_bad_results_of_different_sizes_end_no_worker(
    bootstrap_servers: str, create: Create, delivery: str
) -> None:
    topics = create(output={"max.message.bytes": "10000"})
    chosen = random.Random(0)
    answers = [
        result(topics, offset, value=chosen.randbytes(11_000 + offset) if offset % 4 else b"") for offset in range(400)
    ]
    deliver(bootstrap_servers, topics, answers, delivery)
    assert list(range(0, 400, 4)) == sorted(
        int(message.value() or b"") for message in read(bootstrap_servers, topics.output)
    )
    assert 300 == len(read(bootstrap_servers, topics.dlq))


@BOTH
def test_an_invalid_result_without_a_key_condemns_no_other(
    bootstrap_servers: str, create: Create, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic is not compacted: the brokers refuse something else."""
    topics = create(dlq={"message.timestamp.after.max.ms": str(30 * DAY_MS)})
    monkeypatch.setitem(RECORD_REFUSALS, KafkaError.INVALID_TIMESTAMP, "record")
    answers = [result(topics, offset, key=None, ahead_ms=DAY_MS if offset == 50 else 0) for offset in range(100)]
    deliver(bootstrap_servers, topics, answers, delivery)
    assert 99 == len(read(bootstrap_servers, topics.output))
    assert [b"text 50"] == [message.value() for message in read(bootstrap_servers, topics.dlq)]
