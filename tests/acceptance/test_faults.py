"""The stream while what it stands on fails: the cache, the broker, the settings, the operator's patience."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict

import pytest
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, Sent, send, text
from worker import settings
from worker.demo import sample_texts
from worker.local import LocalKafka, LocalValkey, LocalWorker
from worker.local.server import LocalError, free_ports
from worker.topics import create, planned

from .conftest import StartWorker

STALL_S = 2.0


@pytest.mark.timeout(240)
def test_the_stream_goes_on_while_the_cache_stops_pauses_and_restarts(
    bootstrap_servers: str, own_valkey: LocalValkey, topics: Topics, start_worker: StartWorker
) -> None:
    """Stopped, SIGSTOPped and restarted under load: each record once, and never two seconds without a result."""
    samples = sample_texts()
    start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_CACHE__URL": own_valkey.url,
            "EMOTAG_BATCH__MAX_RECORDS": "32",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    count = 0
    for fault in (None, own_valkey.pause, own_valkey.resume, own_valkey.stop, own_valkey.start, None):
        # The fault strikes with records on their way; enough of them follow to meet it.
        send(bootstrap_servers, topics.input, [text(f"{samples[n % len(samples)]} {count + n}") for n in range(100)])
        if fault is not None:
            fault()
        send(bootstrap_servers, topics.input, [text(f"{samples[n % len(samples)]} {n // 2}") for n in range(100)])
        count += 200
        began = time.monotonic()
        while reader.read.answered < count and time.monotonic() - began < 30:
            reader.take(0.05)
        arrivals = [began, *(at for at in reader.read.arrivals_s if at > began)]
        longest = max((later - earlier for earlier, later in itertools.pairwise(arrivals)), default=0.0)
        assert longest < STALL_S, f"{longest:.1f} s without a result after {fault}"
    read = reader.until(count, timeout_s=30)
    reader.close()
    assert [1] * count == list(read.times().values())


@pytest.mark.parametrize("patient", [True, False], ids=["drain budget", "second signal"])
def test_a_stuck_drain_ends_with_its_budget_or_a_second_signal(
    own_kafka: LocalKafka, start_worker: StartWorker, *, patient: bool
) -> None:
    """Here the drain is stuck in a broker that is paused: 1 at the end of the budget, 143 at once when asked again."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET))
    environment = {**topics.environment(own_kafka.bootstrap_servers), "EMOTAG_DRAIN_S": "4" if patient else "60"}
    worker = start_worker({**environment, "EMOTAG_BATCH__MAX_RECORDS": "16"})
    send(own_kafka.bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(2000)])
    reader = Reader(own_kafka.bootstrap_servers, topics)
    while not reader.take(1.0):
        pass
    own_kafka.pause()
    os.kill(worker.pid, signal.SIGTERM)
    while "drain_started" not in worker.log_tail():
        time.sleep(0.01)  # only its log says that it has heard
    began = time.monotonic()
    if not patient:
        os.kill(worker.pid, signal.SIGTERM)
    assert (1 if patient else 128 + signal.SIGTERM) == worker.wait(10)
    assert time.monotonic() - began < (6 if patient else 3)  # the budget itself would be 60
    reader.close()
    own_kafka.resume()


@pytest.mark.timeout(240)
def test_a_broker_that_is_gone_ends_the_worker_and_nothing_is_lost(
    own_kafka: LocalKafka, start_worker: StartWorker
) -> None:
    """After its deadline the worker ends with 1 and says why; restarted beside a restarted broker it goes on."""
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET)
    topics = create_topics(admin)
    placed = send(own_kafka.bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(600)])
    worker = start_worker(
        {
            **topics.environment(own_kafka.bootstrap_servers),
            "EMOTAG_KAFKA__UNAVAILABLE_S": "5",
            # A worker that ends without its broker cannot leave the group; the broker must notice by itself.
            "EMOTAG_KAFKA__PROPERTIES": '{"session.timeout.ms": 6000}',
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )
    reader = Reader(own_kafka.bootstrap_servers, topics)
    while reader.read.answered < 50:
        reader.take(1.0)
    reader.close()
    # Killed while it writes the markers of a transaction, Kafka 4.4 may never write the rest: restarted, it refuses
    # its own connections for a moment and drops them. So what is in flight is let through first.
    worker.pause()
    time.sleep(1)
    own_kafka.kill()
    worker.resume()
    assert 1 == worker.wait(60)
    assert "are the brokers up?" in worker.log_tail(3)
    own_kafka.start()
    worker.start()
    reader = Reader(own_kafka.bootstrap_servers, topics)  # what the topics hold, not what one client made of the crash
    read = reader.until(600, timeout_s=90)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()


def test_a_broker_that_pauses_ends_a_worker_without_transactions_too(
    own_kafka: LocalKafka, start_worker: StartWorker
) -> None:
    """The client would wait for the commit of offsets without end."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET))
    environment = {**topics.environment(own_kafka.bootstrap_servers), "EMOTAG_DELIVERY": "at_least_once"}
    worker = start_worker({**environment, "EMOTAG_KAFKA__UNAVAILABLE_S": "3", "EMOTAG_BATCH__MAX_RECORDS": "16"})
    send(own_kafka.bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(2000)])
    reader = Reader(own_kafka.bootstrap_servers, topics)
    while not reader.take(1.0):
        pass
    own_kafka.pause()
    assert 1 == worker.wait(30)
    reader.close()
    own_kafka.resume()


def test_a_worker_that_starts_without_brokers_stops_when_it_is_told_to() -> None:
    """SIGTERM while it still looks for them: there is nothing to drain, and it does not use up its budget."""
    (nobody,) = free_ports(1)
    worker = LocalWorker({"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody}"})
    with worker:
        worker.launch()
        while "broker_error_seen" not in worker.log_tail():
            time.sleep(0.05)  # only its log says how far it is
        os.kill(worker.pid, signal.SIGTERM)
        assert 0 == worker.wait(10)


def test_a_paused_worker_whose_partitions_went_to_another_publishes_nothing_when_it_wakes(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """A zombie: the group moved on without it, and its open transaction is refused. Each record once."""
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_KAFKA__PROPERTIES": '{"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}',
        "EMOTAG_BATCH__MAX_RECORDS": "16",
    }
    placed = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(1200)])
    first = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    while reader.read.answered < 100:
        reader.take(1.0)
    first.pause()
    second = start_worker(environment)  # ready once the group has given up on the first one
    while reader.read.answered < 600:
        reader.take(1.0)
    first.resume()
    read = reader.until(1200, timeout_s=60)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
    assert counted(second, "emotag_records_total") > 0


def test_a_record_as_large_as_its_topic_takes_stops_nobody(
    bootstrap_servers: str, admin: AdminClient, start_worker: StartWorker
) -> None:
    """Topics as `emotag topics create` makes them: too large a value, also one that compression hides; a huge id."""
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"large-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", 1)
    names = {"input": {"topic": made.input}, "output": {"topic": made.output}, "dlq": {"topic": made.dlq}}
    create(admin, planned(settings.load(flags=names), partitions=1, replication=1), told=lambda name, how: None)
    large = [
        Sent(random.Random(0).randbytes(1_048_576 + 200_000)),
        Sent(b"a" * 18 * 1024 * 1024),
        text("a", id="b" * 900_000),
        text("a", key=b"k" * 300_000),
    ]
    placed = send(bootstrap_servers, made.input, large, compression="gzip")
    start_worker(made.environment(bootstrap_servers))
    reader = Reader(bootstrap_servers, made)
    read = reader.until(len(large), timeout_s=60)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
    assert 1 == len(read.results)
    for place, messages in read.dead.items():
        assert placed[place].value == messages[0].value()


def test_a_topic_that_is_missing_ends_the_worker_with_what_to_do(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    with pytest.raises(LocalError, match="emotag topics create"):
        start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DLQ__TOPIC": "nobody-made-this"})


def test_an_idle_worker_whose_identity_another_takes_ends_and_says_so(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Its client knows at once; a worker that heard nothing of it would look well and read nothing for ever."""
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "the-one", "heartbeat.interval.ms": 500}',
    }
    first = start_worker(environment)
    start_worker(environment)
    assert 1 == first.wait(30), first.log_tail()
    assert "do two workers share a group.instance.id?" in first.log_tail(1)


def test_a_text_path_that_is_wrong_does_not_drain_the_topic_into_the_dead_letters(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """All would be refused: the worker stops and says why; set right, it tags what it did not refuse."""
    send(bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(600)])
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_DLQ__WINDOW": "100"}
    worker = LocalWorker({**environment, "EMOTAG_INPUT__TEXT_PATH": "words", "EMOTAG_BATCH__MAX_RECORDS": "32"})
    with worker:
        worker.launch()
        assert 2 == worker.wait(60)  # for a supervisor that started it again would have it go on, a window at a time
        assert "EMOTAG_DLQ__MAX_RATIO" in worker.log_tail(1)
    start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    read = reader.until(600, timeout_s=60)
    reader.close()
    assert [1] * 600 == list(read.times().values())
    assert len(read.dead) < 100


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EMOTAG_DELIVERY", "twice", "exactly_once"),
        ("EMOTAG_MODEL__PATH", "/nowhere", "/nowhere"),
        ("EMOTAG_MODEL__DEVICE", "tpu", "tpu"),
        ("EMOTAG_CACHE__URL", "http://host", "EMOTAG_CACHE__URL"),
        ("EMOTAG_KAFKA__PROPERTIES", '{"no.such.property": 1}', "no.such.property"),
    ],
)
def test_a_mistake_in_the_settings_is_one_plain_line(
    bootstrap_servers: str, topics: Topics, name: str, value: str, message: str
) -> None:
    """No traceback, and 2: a supervisor need not restart what a person must mend."""
    environment = {**os.environ, **topics.environment(bootstrap_servers), "EMOTAG_ADMIN__PORT": "0", name: value}
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "run"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 2 == done.returncode
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(240)
def test_at_least_once_loses_nothing_when_the_worker_is_killed(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Offsets come after the results they stand for: kill -9 may repeat results, never lose one."""
    placed = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(1200)])
    worker = start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_DELIVERY": "at_least_once",
            "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "one"}',
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    for kill in (1, 2, 3):
        while reader.read.answered < 300 * kill:
            reader.take(1.0)
        worker.kill()
        worker.start()
    read = reader.until(1200, timeout_s=60)
    reader.close()
    assert set(placed) == set(read.times())


def test_at_least_once_answers_every_record_too(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Without transactions; in a run without a crash each record once, and all offsets committed at the end."""
    placed = send(bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(300)])
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DELIVERY": "at_least_once"})
    reader = Reader(bootstrap_servers, topics)
    reader.until(300, timeout_s=60)
    worker.stop()
    worker.start()
    read = reader.until(300, timeout_s=10)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()


@pytest.mark.timeout(240)
def test_workers_share_the_partitions_and_a_new_one_takes_some_over(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """A second worker joins and the first one leaves in mid-stream: each record once, in order within its key."""

    def some(count: int) -> dict[tuple[int, int], Sent]:
        texts = [text(f"hello {number}", key=b"%d" % (number % 40)) for number in range(count)]
        return send(bootstrap_servers, topics.input, texts)

    def answered(count: int) -> None:
        while reader.read.answered < count:
            reader.take(1.0)

    environment = {**topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": "16"}
    reader = Reader(bootstrap_servers, topics)
    placed = some(300)
    first = start_worker(environment)
    answered(100)
    second = start_worker(environment)  # ready once it has joined
    placed |= some(900)
    answered(700)
    first.stop()
    placed |= some(300)
    read = reader.until(1500, timeout_s=90)
    reader.close()

    assert dict.fromkeys(placed, 1) == read.times()
    assert counted(second, "emotag_records_total") > 300
    assert 4 == counted(second, "emotag_assigned_partitions")
    offsets: dict[bytes | None, list[int]] = defaultdict(list)
    for (_, offset), messages in read.results.items():  # in the order of their arrival
        offsets[messages[0].key()].append(offset)
    assert all(found == sorted(found) for found in offsets.values())


def counted(worker: LocalWorker, name: str) -> float:
    """One of a worker's metrics."""
    families = text_string_to_metric_families(worker.get("/metrics")[1])
    return next(sample.value for family in families for sample in family.samples if sample.name == name)
