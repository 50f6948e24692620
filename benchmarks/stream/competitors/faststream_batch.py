"""FastStream on confluent-kafka: a batch subscriber and a batch publisher; at least once (`AckPolicy.NACK_ON_ERROR`).

FastStream has no exactly-once subscriber: it cannot put offsets into a producer's transaction.
"""

import asyncio
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker

from .job import Job, MessageTagger


def main() -> None:
    job = Job.parse()
    tagger = MessageTagger(job)
    broker = KafkaBroker(
        job.bootstrap_servers,
        compression_type="lz4",
        linger_ms=5,
        enable_idempotence=True,
        logger=None,  # it writes two lines per batch
    )

    @broker.subscriber(
        job.input,
        group_id=job.group,
        batch=True,
        max_records=job.batch,
        polling_interval=job.wait_s,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    @broker.publisher(job.output, batch=True)
    def tag(batch: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        return tuple(tagger.tag(batch))

    asyncio.run(FastStream(broker, logger=None).run())


if __name__ == "__main__":
    main()
