"""Calls between the source and its client during a rebalance."""

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from emotag_worker.errors import StopWorker
from emotag_worker.wire.record import Partition

NOT_READY = frozenset({KafkaError._STATE, KafkaError._PREV_IN_PROGRESS})
"""Errors of a partition that the client has only just been given, or that it stopped reading."""


class CallbackGuard:
    """Keeps exceptions away from librdkafka, which must not see them.

    Attributes:
        running: the client is inside a callback, and so inside a poll.
    """

    def __init__(self) -> None:
        self.running = False
        self._failure: BaseException | None = None

    def run(self, call: Callable[[], None]) -> bool:
        """Call, and return True; if it fails, keep the first exception for the poll in progress, and return False."""
        self.running = True
        try:
            call()
        except BaseException as error:  # noqa: BLE001
            self._failure = self._failure or error
            return False
        finally:
            self.running = False
        return True

    def take_failure(self) -> BaseException | None:
        """Return the exception that was kept, and forget it."""
        failure, self._failure = self._failure, None
        return failure


def ignore_others(
    current: Callable[[], Consumer], callback: Callable[[list[TopicPartition]], None]
) -> Callable[[Consumer, list[TopicPartition]], None]:
    """Return a callback for rebalances of the *current* client only.

    A client that was replaced may still be leaving: the partitions that it reports are not of this worker any more.
    """
    return lambda client, partitions: callback(partitions) if client is current() else None


def seek(consumer: Consumer, partition: Partition, offset: int) -> bool:
    """Read a partition from *offset*; return False if the client is not ready to.

    Raises:
        StopWorker: the client cannot do so without a restart.
    """
    try:
        consumer.seek(TopicPartition(*partition, offset))
    except KafkaException as error:
        if error.args[0].code() in NOT_READY:
            return False
        doing = f"cannot read {partition[0]}-{partition[1]} again from offset {offset}"
        raise StopWorker(f"{doing}: {error.args[0].str()}; restart the worker") from error
    return True
