"""The stream while something else fails: the cache, the broker, the settings."""

import itertools
import os
import random
import signal
import time
import uuid
from collections import defaultdict

import pytest
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from emotag_worker.errors import LocalError
from emotag_worker.kafka import clients
from emotag_worker.kafka import topics as topics_
from emotag_worker.local import LocalKafka, LocalValkey, LocalWorker
from emotag_worker.local.demo_records import read_sample_texts
from emotag_worker.local.server import find_free_ports
from emotag_worker.settings import loader
from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, Sent, read_until, send, text

from .conftest import StartWorker

STALL_S = 2.0


@pytest.mark.timeout(240)
def test_the_stream_goes_on_while_the_cache_stops_pauses_and_restarts(
    bootstrap_servers: str, own_valkey: LocalValkey, topics: Topics, start_worker: StartWorker
) -> None:
    """Stopped, SIGSTOPped and restarted under load: each record once, and never two seconds without a result."""
    samples = read_sample_texts()
    start_worker(
        {
            **topics.environment(bootstrap_servers),
            "EMOTAG_CACHE__URL": own_valkey.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",
            "EMOTAG_BATCH__MAX_RECORDS": "32",
        }
    )
    reader = Reader(bootstrap_servers, topics)
    count = 0
    for fault in (None, own_valkey.pause, own_valkey.resume, own_valkey.stop, own_valkey.start, None):
        # The fault starts while records are in flight, and enough records follow.
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
    """The shutdown waits for a paused broker: 1 after the timeout, 143 at once after a second signal."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET))
    environment = {
        **topics.environment(own_kafka.bootstrap_servers),
        "EMOTAG_SHUTDOWN_TIMEOUT_S": "4" if patient else "60",
    }
    worker = start_worker({**environment, "EMOTAG_BATCH__MAX_RECORDS": "16"})
    send(own_kafka.bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(2000)])
    reader = Reader(own_kafka.bootstrap_servers, topics)
    while not reader.take(1.0):
        pass
    own_kafka.pause()
    os.kill(worker.pid, signal.SIGTERM)
    while "shutdown_started" not in worker.read_log_tail():
        time.sleep(0.01)  # only its log shows that it received the signal
    began = time.monotonic()
    if not patient:
        os.kill(worker.pid, signal.SIGTERM)
    assert (1 if patient else 128 + signal.SIGTERM) == worker.wait(10)
    assert time.monotonic() - began < (6 if patient else 3)  # the timeout itself would be 60
    reader.close()
    own_kafka.resume()


@pytest.mark.timeout(240)
def test_a_broker_that_is_gone_ends_the_worker_and_nothing_is_lost(
    own_kafka: LocalKafka, start_worker: StartWorker
) -> None:
    """After its deadline the worker ends with 1 and the reason; restarted with the broker, it continues."""
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET)
    topics = create_topics(admin)
    placed = send(own_kafka.bootstrap_servers, topics.input, [text(f"so sad {number}") for number in range(600)])
    worker = start_worker(
        {
            **topics.environment(own_kafka.bootstrap_servers),
            "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "5",
            # Without a broker the worker cannot leave the group: the broker must notice its end.
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
    assert "cannot reach Kafka at" in worker.read_log_tail(3)
    own_kafka.start()
    worker.start()
    # Read the topics again, because this client went through the crash:
    read = read_until(own_kafka.bootstrap_servers, topics, 600, timeout_s=90)
    assert dict.fromkeys(placed, 1) == read.times()


def test_a_broker_that_pauses_ends_a_worker_without_transactions_too(
    own_kafka: LocalKafka, start_worker: StartWorker
) -> None:
    """Without a limit, the client would wait for the commit of offsets forever."""
    topics = create_topics(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}, logger=QUIET))
    environment = {**topics.environment(own_kafka.bootstrap_servers), "EMOTAG_DELIVERY": "at_least_once"}
    worker = start_worker({**environment, "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "3", "EMOTAG_BATCH__MAX_RECORDS": "16"})
    send(own_kafka.bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(2000)])
    reader = Reader(own_kafka.bootstrap_servers, topics)
    while not reader.take(1.0):
        pass
    own_kafka.pause()
    assert 1 == worker.wait(30)
    reader.close()
    own_kafka.resume()


def test_a_worker_that_starts_without_brokers_stops_when_it_is_told_to() -> None:
    """SIGTERM while it still connects: there is nothing to finish, so it ends long before its timeout."""
    (nobody,) = find_free_ports(1)
    worker = LocalWorker({"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody}"})
    with worker:
        worker.launch()
        while "broker_error_seen" not in worker.read_log_tail():
            time.sleep(0.05)  # only its log shows its progress
        os.kill(worker.pid, signal.SIGTERM)
        assert 0 == worker.wait(10)


def test_a_paused_worker_whose_partitions_went_to_another_publishes_nothing_when_it_wakes(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """The group has moved on without it, and its open transaction is refused. Each record has one result."""
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
    second = start_worker(environment)  # ready when the group has removed the first one
    while reader.read.answered < 600:
        reader.take(1.0)
    first.resume()
    read = reader.until(1200, timeout_s=60)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
    assert counted(second, "emotag_records_total") > 0


def test_a_record_as_large_as_its_topic_takes_stops_nobody(bootstrap_servers: str, start_worker: StartWorker) -> None:
    """With topics by `emotag topics create`: a value over the limit, also one that compresses well, and a huge id."""
    unique = uuid.uuid4().hex[:8]
    made = Topics(f"large-{unique}", f"emotions-{unique}", f"dlq-{unique}", f"group-{unique}", 1)
    names = {"input": {"topic": made.input}, "output": {"topic": made.output}, "dlq": {"topic": made.dlq}}
    settings = loader.load(flags={**names, "kafka": {"bootstrap_servers": bootstrap_servers}})
    plan = topics_.plan_topics(settings, partitions=1, replication=1)
    topics_.create_topics(clients.create_admin(settings), plan, report=lambda name, how: None)
    large = [
        Sent(random.Random(0).randbytes(1_048_576 + 200_000)),
        Sent(b"a" * 18 * 1024 * 1024),
        text("a", id="b" * 900_000),
        text("a", key=b"k" * 300_000),
    ]
    placed = send(bootstrap_servers, made.input, large, compression="gzip")
    start_worker(made.environment(bootstrap_servers))
    read = read_until(bootstrap_servers, made, len(large), timeout_s=60)
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
    """Its client reports it at once. A worker that ignored this would look healthy and read nothing."""
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "the-one", "heartbeat.interval.ms": 500}',
    }
    first = start_worker(environment)
    start_worker(environment)
    assert 1 == first.wait(30), first.read_log_tail()
    assert "give each worker its own EMOTAG_KAFKA__IDENTITY or group.instance.id" in first.read_log_tail(1)


def test_a_text_path_that_is_wrong_does_not_drain_the_topic_into_the_dead_letters(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """No record can be read: the worker stops with the reason. With the right path, it tags the rest."""
    send(bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(600)])
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_DLQ__STOP_AFTER": "100"}
    worker = LocalWorker({**environment, "EMOTAG_INPUT__TEXT_PATH": "words", "EMOTAG_BATCH__MAX_RECORDS": "32"})
    with worker:
        worker.launch()
        assert 2 == worker.wait(60)  # otherwise a supervisor's restarts would refuse the topic one window at a time
        assert "EMOTAG_INPUT__TEXT_PATH" in worker.read_log_tail(1)
    start_worker(environment)
    read = read_until(bootstrap_servers, topics, 600, timeout_s=60)
    assert [1] * 600 == list(read.times().values())
    assert len(read.dead) < 100


@pytest.mark.timeout(240)
def test_workers_share_the_partitions_and_a_new_one_takes_some_over(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """A second worker joins and the first one leaves during the stream: each record once, in order within its key."""

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
    second = start_worker(environment)  # ready when it has joined
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
    for (_, offset), messages in read.results.items():  # in the order of arrival
        offsets[messages[0].key()].append(offset)
    assert all(found == sorted(found) for found in offsets.values())


def counted(worker: LocalWorker, name: str) -> float:
    """Return one of a worker's metrics."""
    families = text_string_to_metric_families(worker.get("/metrics")[1])
    return next(sample.value for family in families for sample in family.samples if sample.name == name)
