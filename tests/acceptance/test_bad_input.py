"""Bad records, through a real broker to a real worker."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from emotag_worker.kafka import clients
from emotag_worker.kafka.input.sample import read_newest
from emotag_worker.local import LocalWorker
from emotag_worker.settings import loader
from tests.conftest import QUIET, Topics
from tests.mixture import BAD, OTHER_BAD
from tests.stream import Reader, Sent, new_producer, read_until, send, text

from .conftest import StartWorker

GOOD = b'{"text": "What a wonderful day!"}'
WORDS = [
    "\u202eabc\u202c",
    "👩\u200d👩\u200d👧",
    "e" + "\u0301" * 900,
    "\x00",
    "\ufeff",
    "漢字",
    "\U0010ffff",
    "word" * 2_000,
    "\\ud800",
    '"',
]


def records(count: int, seed: int) -> list[Sent]:
    """Random bytes, almost JSON, odd texts, keys and headers: the same in every run."""
    draw = random.Random(seed)
    bad = [*BAD.values(), *OTHER_BAD]
    made = []
    for number in range(count):
        value: bytes | None = GOOD
        match draw.randrange(5):
            case 0:
                value = draw.randbytes(draw.randrange(200))
            case 1:
                value = b'{"text": "%b"}' % "".join(draw.choices(WORDS, k=3)).encode()
            case 2:
                at = draw.randrange(len(GOOD))
                value = GOOD[:at] + draw.randbytes(1) + GOOD[at + draw.randrange(3) :]
            case 3:
                value = bad[number % len(bad)].value
        key = draw.choice([None, b"", b"k", b"\xff\x00", b"k" * 3_000])
        names = ["", "a", "ce_id", "traceparent", "ü", "x" * 500]
        sizes = [0, 1, 30, 20_000]
        headers: list[tuple[str, bytes | None]] = [
            (draw.choice(names), draw.choice([None, draw.randbytes(draw.choice(sizes))]))
            for _ in range(draw.randrange(4))
        ]
        made.append(Sent(value, key=key, headers=headers, timestamp_ms=draw.choice([1, 1_000, 1_700_000_000_000])))
    return made


@pytest.mark.timeout(180)
def test_whatever_is_sent_each_record_gets_one_answer(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """A dead letter has the bytes that were sent, and good records of the same batch are tagged."""
    placed = send(bootstrap_servers, topics.input, records(400, seed=7))
    start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DLQ__STOP_AFTER": "0"})
    read = read_until(bootstrap_servers, topics, 400, timeout_s=90)
    assert dict.fromkeys(placed, 1) == read.times()
    for place, (dead,) in read.dead.items():
        assert (placed[place].value, placed[place].key) == (dead.value(), dead.key())
    assert {place for place, sent in placed.items() if sent.value == GOOD} <= set(read.results)


def send_to(bootstrap_servers: str, topic: str, partition: int, sent: Sent, times: int) -> None:
    """Send a record to one partition, *times* times."""
    producer = new_producer(bootstrap_servers, compression="lz4")
    for _ in range(times):
        while True:
            try:
                producer.produce(topic, sent.value, sent.key, partition, headers=list(sent.headers))
                break
            except BufferError:
                producer.poll(0.1)
    assert 0 == producer.flush(60)


@pytest.mark.timeout(240)
def test_the_bad_records_of_one_producer_do_not_end_the_worker(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """3,000 in one partition, before the first good record: neither this start nor a restart inside the burst ends."""
    send_to(bootstrap_servers, topics.input, 0, Sent(b"not JSON"), 3000)
    send_to(bootstrap_servers, topics.input, 0, text("so happy"), 20)
    reader = Reader(bootstrap_servers, topics)
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": "64"})
    while reader.read.answered < 1500:
        reader.take(1.0)
    worker.kill()
    worker.start()
    read = reader.until(3020, timeout_s=90)
    reader.close()
    assert (20, 3000) == (len(read.results), len(read.dead))
    assert {1} == set(read.times().values())


@pytest.mark.timeout(180)
def test_a_held_worker_releases_its_partitions_and_waits_for_a_person(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Alive, started, not ready, with the reason in a metric; after SIGTERM it ends with the code of the mistake."""
    send(bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(300)])
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_DLQ__STOP_AFTER": "100"}
    # It never becomes ready, because it commits nothing.
    with LocalWorker({**environment, "EMOTAG_ON_MISTAKE": "hold", "EMOTAG_INPUT__TEXT_PATH": "words"}) as worker:
        worker.launch()
        while "worker_held" not in worker.read_log_tail():
            assert worker.poll() is None
            time.sleep(0.1)  # only its log shows its progress
        _assert_held(worker, bootstrap_servers, topics)
        start_worker(environment)
        read = read_until(bootstrap_servers, topics, 300, timeout_s=60)
        assert {1} == set(read.times().values())
        assert len(read.dead) < 100
        os.kill(worker.pid, signal.SIGTERM)
        assert 2 == worker.wait(20)


def _assert_held(worker: LocalWorker, bootstrap_servers: str, topics: Topics) -> None:
    assert (200, 200, 503) == tuple(worker.get(path)[0] for path in ("/livez", "/startupz", "/readyz"))
    assert 'emotag_held{reason="TooManyDeadLetters"} 1.0' in worker.get("/metrics")[1]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)
    assert [] == admin.describe_consumer_groups([topics.group])[topics.group].result().members


def test_a_worker_that_cannot_start_is_held_too(bootstrap_servers: str, topics: Topics, tmp_path: Path) -> None:
    """If its model is damaged, for example: a startup probe that failed would restart it again and again."""
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_MODEL__PATH": str(tmp_path)}
    with LocalWorker({**environment, "EMOTAG_ON_MISTAKE": "hold"}) as worker:
        worker.launch()
        while "worker_held" not in worker.read_log_tail():
            assert worker.poll() is None
            time.sleep(0.1)  # only its log shows its progress
        assert (200, 503) == (worker.get("/startupz")[0], worker.get("/readyz")[0])
        os.kill(worker.pid, signal.SIGTERM)
        assert 2 == worker.wait(20)


@pytest.mark.timeout(300)
def test_a_backlog_of_large_headers_fits_into_a_pod(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """4,000 records of 24 bytes with 300 KB of headers wait, which are 1.2 GB in all. A pod has 1 GiB."""
    sent = Sent(b'{"text": "so happy now"}', headers=[("token", b"a" * 300_000)])
    send_to(bootstrap_servers, topics.input, 0, sent, 4000)
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DLQ__STOP_AFTER": "0"})
    while counted(worker) < 4000:
        time.sleep(0.5)  # only its metrics show its progress
    assert peak_bytes(worker) < 1_000_000_000


def peak_bytes(worker: LocalWorker) -> int:
    """Return the largest resident memory of a worker so far."""
    status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def counted(worker: LocalWorker) -> int:
    lines = worker.get("/metrics")[1].splitlines()
    return round(float(next(line.split()[1] for line in lines if line.startswith("emotag_records_total"))))


@pytest.mark.parametrize(
    ("policy", "action", "written", "dead"),
    [
        ("compact", "auto", [(b"a", True), (b"a", False), (b"b", False)], 1),
        ("delete", "auto", [(b"a", True)], 3),
        ("compact", "skip", [(b"a", True)], 0),
    ],
)
def test_a_tombstone_is_forwarded_skipped_or_dead_lettered(
    policy: str,
    action: str,
    written: list[tuple[bytes, bool]],
    dead: int,
    bootstrap_servers: str,
    topics: Topics,
    start_worker: StartWorker,
) -> None:
    """`auto` follows the output topic. Without a key, a tombstone can delete nothing and becomes a dead letter."""
    set_config(bootstrap_servers, topics.output, "cleanup.policy", policy)
    records = [text("so happy", key=b"a"), Sent(None, key=b"a"), Sent(None, key=b"b"), Sent(None)]
    for sent in records:
        send_to(bootstrap_servers, topics.input, 0, sent, 1)
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_INPUT__TOMBSTONES": action}
    worker = start_worker(environment)
    while counted(worker) < len(records):
        time.sleep(0.1)  # a skipped record leaves no other trace
    found = read_all(bootstrap_servers, topics)
    # Two keys can be in two partitions, which have no common order.
    output = sorted((key or b"", value is None) for topic, key, value in found if topic == topics.output)
    assert written == [(key, not is_tombstone) for key, is_tombstone in output]
    assert dead == sum(topic == topics.dlq for topic, _, _ in found)


def set_config(bootstrap_servers: str, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QUIET)
    admin.incremental_alter_configs([resource])[resource].result()


def read_all(bootstrap_servers: str, topics: Topics) -> list[tuple[str, bytes | None, bytes | None]]:
    """Return topic, key and value of every committed result, dead letter and tombstone."""
    names = {"input": {"topic": topics.input}, "output": {"topic": topics.output}, "dlq": {"topic": topics.dlq}}
    settings = loader.load(flags={**names, "kafka": {"bootstrap_servers": bootstrap_servers}})
    found = []
    for topic in (topics.output, topics.dlq):
        consumer = clients.create_finite_reader(settings)
        found += [(topic, record.key, record.value) for record in read_newest(consumer, topic)]
        consumer.close()
    return found
