"""What the brokers said of records that were handed to the client."""

from confluent_kafka import KafkaError, Message

from .broker_errors import REFUSALS
from .errors import DeliveryRefused


class DeliveryFailures:
    """The first record the broker did not take; the producer's delivery callback."""

    def __init__(self) -> None:
        self.first: tuple[str, KafkaError] | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self.first is None:
            self.first = (message.topic() or "?", error)

    def stop_if_refused(self) -> None:
        """Raise DeliveryRefused if the broker will never take that record."""
        if self.first is not None and self.first[1].code() in REFUSALS:
            raise DeliveryRefused(self.first[0], self.first[1].str())
