"""Records that the brokers refuse when the worker writes them: the others are answered, and nothing stops."""

import hashlib
import json
import random
import time
import uuid
from collections.abc import Mapping

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from emotag_schemas.dead_letter import DeadLetterHeaders, StubHeaders
from emotag_worker.kafka import clients
from emotag_worker.kafka import topics as topics_
from emotag_worker.settings import loader
from tests.acceptance.conftest import StartWorker
from tests.conftest import Topics
from tests.stream import Place, Read, Sent, headers_of, read_until, send, text

DAY_MS = 24 * 60 * 60 * 1000
MODES = ("exactly_once", "at_least_once")


def create(
    admin: AdminClient,
    *,
    partitions: int = 1,
    input: Mapping[str, str] | None = None,  # noqa: A002
    output: Mapping[str, str] | None = None,
    dlq: Mapping[str, str] | None = None,
) -> Topics:
    """Create topics with these properties."""
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"refused-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", partitions)
    given = {made.input: input, made.output: output, made.dlq: dlq}
    new = [NewTopic(name, partitions, 1, config=dict(config or {})) for name, config in given.items()]
    for future in admin.create_topics(new).values():
        future.result()
    return made


def create_as_recommended(bootstrap_servers: str, *, partitions: int) -> Topics:
    """Create topics as `emotag topics create` does."""
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"large-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", partitions)
    names = {"input": {"topic": made.input}, "output": {"topic": made.output}, "dlq": {"topic": made.dlq}}
    settings = loader.load(flags={**names, "kafka": {"bootstrap_servers": bootstrap_servers}})
    plan = topics_.plan_topics(settings, partitions=partitions, replication=1)
    topics_.create_topics(clients.create_admin(settings), plan, report=lambda name, how: None)
    return made


def export(rows: int) -> bytes:
    """Return a JSON export: megabytes that zstd compresses far better than lz4."""
    chosen = random.Random(0)
    names = [f"customer {chosen.randrange(10**6)}" for _ in range(500)]
    return json.dumps(
        [
            {"order": number, "customer": chosen.choice(names), "status": "delivered", "total": chosen.randrange(10**4)}
            for number in range(rows)
        ]
    ).encode()


def texts(count: int, **fields: str) -> list[Sent]:
    return [text(f"so happy {number}", key=b"k%d" % (number % 7), **fields) for number in range(count)]


def reasons(read: Read) -> dict[Place, str]:
    """Return the reason of each dead letter."""
    return {
        place: DeadLetterHeaders.from_headers(headers_of(messages[0])).exception_class
        for place, messages in read.dead.items()
    }


@pytest.mark.timeout(240)
def test_a_record_that_only_zstd_makes_small_enough_stops_no_worker(
    bootstrap_servers: str, start_worker: StartWorker
) -> None:
    """7 MB of JSON, which the input accepts with zstd: a dead letter with all its bytes, and two workers that live."""
    topics = create_as_recommended(bootstrap_servers, partitions=4)
    workers = [start_worker(topics.environment(bootstrap_servers)) for _ in range(2)]
    large = export(85_000)
    assert len(large) > 7_000_000
    placed = send(bootstrap_servers, topics.input, [*texts(10), Sent(large, key=b"k1"), *texts(11)], compression="zstd")
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    ((place, (letter,)),) = read.dead.items()
    assert {place: "ValueTooLarge"} == reasons(read)
    assert large == letter.value()
    assert [None, None] == [worker.poll() for worker in workers]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("delivery", MODES)
def test_a_record_dated_ahead_gets_the_brokers_time_and_its_neighbours_keep_theirs(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker, *, delivery: str
) -> None:
    """The input accepts any time, the output at most an hour ahead, as Kafka does by default."""
    topics = create(admin, input={"message.timestamp.after.max.ms": str(30 * DAY_MS)})
    ahead = Sent(b'{"text": "so late"}', timestamp_ms=int(time.time() * 1000) + 2 * DAY_MS)
    placed = send(bootstrap_servers, topics.input, [*texts(40), ahead, *texts(20), ahead, *texts(40)])
    start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": delivery})
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    assert {} == read.dead
    for place, messages in read.results.items():
        _, timestamp_ms = messages[0].timestamp()
        if placed[place] is ahead:
            assert abs(timestamp_ms - time.time() * 1000) < DAY_MS / 24
        else:
            assert placed[place].timestamp_ms == timestamp_ms


@pytest.mark.timeout(240)
@pytest.mark.parametrize("delivery", MODES)
def test_a_record_without_a_key_for_a_compacted_output_is_a_dead_letter(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker, *, delivery: str
) -> None:
    topics = create(admin, partitions=2, output={"cleanup.policy": "compact"})
    first = send(bootstrap_servers, topics.input, [*texts(30), text("no key"), *texts(30)])
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": delivery})
    placed = first | send(bootstrap_servers, topics.input, [*texts(5), text("nor here"), text("nor there")])
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    keyless = {place: "OutputRefused" for place, sent in placed.items() if sent.key is None}
    assert keyless == reasons(read)
    assert all(placed[place].value == messages[0].value() for place, messages in read.dead.items())
    metrics = worker.get("/metrics")[1]
    assert 'emotag_dead_letters_total{reason="OutputRefused"} 3.0' in metrics
    assert 'emotag_refused_records_total{replacement="dead_letter"} 3.0' in metrics


@pytest.mark.timeout(240)
@pytest.mark.parametrize("delivery", MODES)
def test_a_dead_letter_that_does_not_fit_becomes_a_stub_and_its_neighbours_keep_their_values(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker, *, delivery: str
) -> None:
    """All of them share one produce batch, which the brokers refuse as a whole."""
    topics = create(admin, input={"max.message.bytes": "2000000"}, dlq={"max.message.bytes": "100000"})
    chosen = random.Random(0)
    bad = [Sent(chosen.randbytes(200_000 if number in (8, 9) else 3_000), key=b"k") for number in range(20)]
    placed = send(bootstrap_servers, topics.input, [*texts(10), *bad])
    start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": delivery})
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=60)
    assert dict.fromkeys(placed, 1) == read.times()
    assert set(reasons(read).values()) == {"NotUtf8"}
    for place, (letter, *_) in read.dead.items():
        value, stub = placed[place].value or b"", StubHeaders.from_headers(headers_of(letter))
        if len(value) < 100_000:
            assert (value, None) == (letter.value(), stub)
        else:
            assert (None, b"k") == (letter.value(), letter.key())
            assert stub == StubHeaders(
                value_bytes=len(value),
                value_sha256=hashlib.sha256(value).hexdigest(),
                refusal="Broker: Message size too large",
            )


@pytest.mark.timeout(240)
def test_a_large_bomb_is_a_dead_letter(bootstrap_servers: str, start_worker: StartWorker) -> None:
    """90 MB of one letter, in less than 0.1 MB on the wire."""
    topics = create_as_recommended(bootstrap_servers, partitions=1)
    start_worker(topics.environment(bootstrap_servers))
    bomb = Sent(b"a" * 90_000_000)
    placed = send(bootstrap_servers, topics.input, [*texts(5), bomb, *texts(5)], compression="gzip")
    read = read_until(bootstrap_servers, topics, len(placed), timeout_s=90)
    assert dict.fromkeys(placed, 1) == read.times()
    assert ["ValueTooLarge"] == list(reasons(read).values())


@pytest.mark.timeout(240)
def test_an_output_topic_that_refuses_every_record_ends_the_worker(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker
) -> None:
    """As any other reason of dead letters does: otherwise one topic would move into the other."""
    topics = create(admin, output={"cleanup.policy": "compact"})
    send(bootstrap_servers, topics.input, [text(f"no key {number}") for number in range(400)])
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_DLQ__STOP_AFTER": "100"}
    worker = start_worker({**environment, "EMOTAG_BATCH__MAX_RECORDS": "32"})
    assert 2 == worker.wait(60)
    assert "EMOTAG_DLQ__STOP_AFTER" in worker.read_log_tail(1)
