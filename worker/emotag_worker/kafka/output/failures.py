"""The delivery callback of a producer. It finds the records that the brokers did not accept."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from confluent_kafka import KafkaError, Message

from emotag_worker.errors import BatchAborted, DeliveryRefused, RecordsRefused
from emotag_worker.kafka.broker_errors import RECORD_REFUSALS, TOPIC_REFUSALS
from emotag_worker.wire.record import Refusal

OnDelivery = Callable[[KafkaError | None, Message], None]


class DeliveryFailures:
    """The records of one batch that the brokers did not accept.

    The client reports a failure to the callback of the record, and does not name the record. So each record has its own
    callback. They are created once, and used for the same position in every batch.

    Attributes:
        first: topic and error of the first failure.
    """

    def __init__(self) -> None:
        self.first: tuple[str, KafkaError] | None = None
        self._denied: tuple[str, KafkaError] | None = None
        self._failed: dict[int, Refusal | None] = {}
        self._callbacks: list[OnDelivery] = []

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Note a failure of a record that belongs to no batch."""
        if error is not None and self.first is None:
            self.first = (message.topic() or "?", error)

    def begin(self, count: int) -> Sequence[OnDelivery]:
        """Forget all failures; return the callbacks of the next *count* records, or more callbacks."""
        self.first = self._denied = None
        self._failed.clear()
        for index in range(len(self._callbacks), count):
            self._callbacks.append(partial(self._note_report, index))
        return self._callbacks

    def note(self, index: int, topic: str, partition: int, error: KafkaError) -> None:
        """Note that the brokers, or the client itself, did not accept the record at *index*."""
        self.first = self.first or (topic, error)
        if error.code() in TOPIC_REFUSALS:
            self._denied = (topic, error)
        cause = RECORD_REFUSALS.get(error.code())
        self._failed[index] = cause and Refusal(topic, partition, cause, error.str())

    def stop_if_refused(self, unwritten: Iterable[int] = ()) -> None:
        """Raise an error if the brokers would refuse some records again.

        Args:
            unwritten: the index of every record that is not written, although it has not failed.

        Raises:
            DeliveryRefused: the brokers refuse every record of a topic.
            RecordsRefused: the brokers refuse some records.
        """
        if self._denied is not None:
            raise DeliveryRefused(self._denied[0], self._denied[1].str())
        refused = {index: refusal for index, refusal in self._failed.items() if refusal is not None}
        if refused:
            raise RecordsRefused(refused, sorted({*self._failed, *unwritten}))

    def stop_if_any(self, unwritten: Iterable[int] = ()) -> None:
        """Raise as `stop_if_refused`, or BatchAborted if another try may succeed."""
        self.stop_if_refused(unwritten)
        if self.first is not None:
            raise BatchAborted(self.first[1].str())

    def _note_report(self, index: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.note(index, message.topic() or "?", message.partition() or 0, error)
