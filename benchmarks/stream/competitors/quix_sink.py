"""Quix Streams: a custom sink that processes the messages of a checkpoint as one batch; at least once.

Its documentation uses sinks for work in batches. The writes of a sink are not part of the application's transactions,
so this way cannot be exactly once.
"""

import json
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application
from quixstreams.sinks.base.sink import BaseSink

from .job import Job, MessageTagger

IDLE_COMMIT_S = 1.0
"""Longest wait for more records in a batch that is not full."""


class TaggingSink(BaseSink):
    """Tags the messages of a checkpoint, all partitions together, and produces the results."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._tagger = MessageTagger(job)
        self._output = job.output
        self._producer = Producer(
            {
                "bootstrap.servers": job.bootstrap_servers,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
            }
        )
        self._held: list[dict[str, Any]] = []

    def add(self, value: Any, *_: Any, **__: Any) -> None:
        self._held.append(value)

    def flush(self) -> None:
        if not self._held:
            return
        for result in self._tagger.tag(self._held):
            self._producer.produce(self._output, json.dumps(result).encode())
            self._producer.poll(0)
        self._producer.flush()
        self._held.clear()


def main() -> None:
    job = Job.parse()
    application = Application(
        broker_address=job.bootstrap_servers,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        commit_every=job.batch,
        commit_interval=IDLE_COMMIT_S,
        consumer_poll_timeout=job.wait_s,
        consumer_extra_config={"isolation.level": "read_committed"},
        auto_create_topics=False,
        loglevel="WARNING",
    )
    application.dataframe(application.topic(job.input, value_deserializer="json")).sink(TaggingSink(job))
    application.run()


if __name__ == "__main__":
    main()
