"""A loop over confluent-kafka, the worker's own client: consume, tag, produce, commit.

At least once as in the client's documentation, or exactly once as in its `eos-transactions.py` example.
"""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from confluent_kafka import Consumer, Message, Producer

from .job import Job, MessageTagger

Tag: TypeAlias = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
"""Returns the results of parsed messages."""


def main() -> None:
    job = Job.parse()
    run(job, MessageTagger(job).tag)


def run(job: Job, tag: Tag) -> None:
    """Process messages until the process is killed."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            **({"transactional.id": f"{job.group}-1"} if job.exactly_once else {}),
        }
    )
    if job.exactly_once:
        producer.init_transactions()
    consumer.subscribe([job.input])
    while True:
        messages = [message for message in consumer.consume(job.batch, job.wait_s) if message.error() is None]
        if messages:
            process = process_exactly_once if job.exactly_once else process_at_least_once
            process(consumer, producer, job.output, messages, tag)


def process_at_least_once(
    consumer: Consumer, producer: Producer, output: str, messages: list[Message], tag: Tag
) -> None:
    produce(producer, output, messages, tag)
    producer.flush()
    consumer.commit(asynchronous=False)


def process_exactly_once(
    consumer: Consumer, producer: Producer, output: str, messages: list[Message], tag: Tag
) -> None:
    producer.begin_transaction()
    produce(producer, output, messages, tag)
    producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
    producer.commit_transaction()


def produce(producer: Producer, output: str, messages: list[Message], tag: Tag) -> None:
    results = tag([json.loads(message.value() or b"") for message in messages])
    for message, result in zip(messages, results, strict=True):
        producer.produce(output, json.dumps(result).encode(), key=message.key())
        producer.poll(0)


if __name__ == "__main__":
    main()
