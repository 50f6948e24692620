"""`make soak`: a million messages while members join and leave and the cache is emptied; report growth.

Prints one line, and exits with 1 if memory, descriptors, threads or latency grew by more than is allowed.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import redis
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalKafka, LocalValkey, LocalWorker, run_kafka, run_valkey
from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import QUIET, Topics, create_topics
from tests.stream import Reader, new_producer, produce, text

BATCH = 10_000
"""Messages between two measurements."""

MEMORY, LATENCY = 1.02, 1.10
"""Allowed growth of resident memory and of p99 from the second tenth to the last, by their medians."""


@dataclass(frozen=True)
class Look:
    """One measurement of the worker that stays, after a number of messages."""

    messages: int
    resident_mb: float
    descriptors: int
    threads: int
    p99_ms: float


def main() -> int:
    """Run the soak test; return 1 if something grew."""
    parser = argparse.ArgumentParser(description="A long run, and what grows in it.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    asked = parser.parse_args()
    with run_kafka() as broker, run_valkey() as cache:
        looks = list(_looks(broker, cache, asked.messages))
    tenth = max(1, len(looks) // 10)
    # The first tenth warms up: batches grow, and each batch has a new shape. A single measurement is too noisy.
    early, last = looks[tenth : 2 * tenth] or looks[:1], looks[-tenth:]
    found = {
        "messages": looks[-1].messages,
        "memory_growth": round(_median(last, "resident_mb") / _median(early, "resident_mb"), 3),
        "descriptors_growth": last[-1].descriptors - early[0].descriptors,
        "threads_growth": last[-1].threads - early[0].threads,
        "p99_growth": round(_median(last, "p99_ms") / _median(early, "p99_ms"), 3),
        "early": asdict(early[0]),
        "last": asdict(last[-1]),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    grown = (
        found["memory_growth"] > MEMORY  # type: ignore[operator]
        or found["p99_growth"] > LATENCY  # type: ignore[operator]
        or found["descriptors_growth"] > 2  # type: ignore[operator]
        or found["threads_growth"] > 0  # type: ignore[operator]
    )
    return 1 if grown else 0


def _looks(broker: LocalKafka, cache: LocalValkey, messages: int) -> Iterator[Look]:
    topics = create_topics(AdminClient({"bootstrap.servers": broker.bootstrap_servers}, logger=QUIET))
    environment = {
        **topics.environment(broker.bootstrap_servers),
        "EMOTAG_CACHE__URL": cache.url,
        "EMOTAG_CACHE__MEMORY_ENTRIES": "1000",  # full before memory is compared
        "EMOTAG_MODEL__PRECISION": "fp32",
        "EMOTAG_MODEL__ENGINE": "openvino",
    }
    producer = new_producer(broker.bootstrap_servers)
    words = read_sample_texts()
    draw = random.Random(1)
    with LocalWorker(environment) as stays, LocalWorker(environment) as comes:
        stays.start()
        done = 0
        while done < messages:
            _churn(comes, cache, turn=done // BATCH)
            reader = _tail(broker, topics)
            began = time.monotonic()
            for number in range(BATCH):
                fresh = f" {done + number}" if number % 100 == 0 else ""
                produce(producer, topics.input, text(draw.choice(words) + fresh), None)
                producer.poll(0)
                if number % 100 == 99:
                    reader.take_for(0.0)
            producer.flush()
            read = reader.until(BATCH, timeout_s=120)
            if read.answered != BATCH or set(read.times().values()) != {1}:
                sys.exit(f"{read.answered} of {BATCH} messages answered, some more than once or never")
            done += BATCH
            arrivals = [at - began for at in reader.read.arrivals_s]
            reader.close()
            look = Look(done, *_resources(stays.pid), p99_ms=round(1e3 * statistics.quantiles(arrivals, n=100)[98]))
            print(asdict(look), file=sys.stderr, flush=True)  # noqa: T201
            yield look


def _churn(comes: LocalWorker, cache: LocalValkey, *, turn: int) -> None:
    """Let a second member join and leave in turn, and empty the cache now and then."""
    if turn % 2:
        comes.stop()
    else:
        comes.start()
    if turn % 10 == 5:
        redis.Redis.from_url(cache.url).flushall()


def _tail(broker: LocalKafka, topics: Topics) -> Reader:
    """Return a reader of new results."""
    return Reader(broker.bootstrap_servers, topics, at_end=True)


def _resources(pid: int) -> tuple[float, int, int]:
    """Return resident memory in MB, open descriptors and threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return round(int(status["VmRSS"].split()[0]) / 1e3, 1), descriptors, int(status["Threads"])


def _median(looks: Sequence[Look], name: str) -> float:
    return statistics.median(float(getattr(look, name)) for look in looks)


if __name__ == "__main__":
    sys.exit(main())
