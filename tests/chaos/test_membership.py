"""One worker of a group crashes again and again, on a broker with Kafka's own timings."""

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.local import run_kafka
from tests.conftest import QUIET, create_topics

from .rig.crash_loop import PARTITIONS, PRODUCTION, measure_silence

WITHOUT_S, WITH_S = 30.0, 10.0
"""The promised longest times without a result of one partition, without and with an identity."""


@pytest.mark.timeout(480)
@pytest.mark.parametrize(("identity", "most_s"), [(False, WITHOUT_S), (True, WITH_S)], ids=["without", "with"])
def test_a_worker_that_crashes_again_and_again_does_not_silence_the_others(identity: bool, most_s: float) -> None:
    """Results of other partitions come all the time; those of its own partitions after a session, or its restart."""

    def describe(number: int, start: int) -> dict[str, str]:
        return {"EMOTAG_KAFKA__IDENTITY": f"worker-{number}"} if identity else {}

    with run_kafka(properties=PRODUCTION) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers}, logger=QUIET)
        topics = create_topics(admin, partitions=PARTITIONS)
        found = measure_silence(broker.bootstrap_servers, topics, describe, seconds=32)
        broker.kill()
    assert found.all_s < WITH_S
    # A machine with much load takes long to start a worker; nobody promises how long.
    assert found.partition_s < most_s + max(0.0, found.start_s - 5.0)
