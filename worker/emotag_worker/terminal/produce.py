"""Produce lines to the input topic: `emotag produce`."""

import json
import time
from typing import TextIO

from confluent_kafka import KafkaError, Producer
from pydantic_core import from_json

from emotag_worker.errors import BrokerUnavailable, ProduceIncomplete
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.output.sink import DeliveryFailures
from emotag_worker.settings import InputSettings, Settings

from .stdin import strip_line_ends
from .tables import count

SLICE_S = 0.5
"""Longest single wait for acknowledgements: a refusal is noticed after this time at the latest."""


class InvalidObject(ValueError):
    """A line that begins with a brace but is not JSON: a broken message, not a text."""


class ProduceInterrupted(KeyboardInterrupt):
    """Ctrl-C ended the input.

    Attributes:
        sent: number of records that the brokers accepted.
    """

    def __init__(self, sent: int) -> None:
        super().__init__()
        self.sent = sent


def produce_lines(producer: Producer, failures: DeliveryFailures, stream: TextIO, settings: Settings) -> int:
    """Produce every line of *stream*; return the number of records that the brokers accepted.

    Args:
        failures: the delivery callback of *producer*.
        stream: UTF-8, opened with `surrogateescape`, so that an error can name the line with other bytes.

    Raises:
        ProduceIncomplete: the brokers refused a record, or a line cannot be sent. The lines before it are sent.
        BrokerUnavailable: the brokers did not accept all records in time.
        Denied: the brokers refuse this client.
        ProduceInterrupted: Ctrl-C. The lines read before it are sent.
    """
    topic = settings.input.topic
    read, sent, missing, interrupted = 0, 0, "", False
    try:
        for line in strip_line_ends(stream):
            read += 1
            if line.strip():
                _produce(producer, topic, encode_line(line, settings.input))
                sent += 1
    except UnicodeEncodeError:
        missing = f"line {read} is not UTF-8"
    except InvalidObject as error:
        missing = (
            f"line {read} begins like a JSON object but is not one ({error}); send a text that begins with a brace as "
            '{"text": "…"}'
        )
    except OSError as error:
        missing = f"cannot read after line {read} ({error.strerror})"
    except KeyboardInterrupt:
        interrupted = True
    left = _flush(producer, settings.kafka.broker_timeout_s)
    failure = failures.first[1] if failures.first else None
    records = count(sent, "record")
    if left or (failure is not None and failure.code() == KafkaError._MSG_TIMED_OUT):
        raise _explain_outage(producer, records, settings)
    if failure is not None:
        raise ProduceIncomplete(f"{topic} did not accept all of {records}: {failure.str()}")
    if missing:
        raise ProduceIncomplete(f"{missing}; sent {records} before it to {topic}, none after it")
    if interrupted:
        raise ProduceInterrupted(sent)
    return sent


def encode_line(line: str, settings: InputSettings) -> bytes:
    """Return a line as the value of a record: a JSON object unchanged, any other line as the text of an object.

    With `input.format = text`, return every line unchanged.

    Raises:
        UnicodeEncodeError: the line contains surrogates.
        InvalidObject: the line begins with a brace but is not JSON.
    """
    raw = line.encode()
    return raw if settings.format == "text" or _is_object(line) else _wrap(line, settings)


def _produce(producer: Producer, topic: str, raw: bytes) -> None:
    while True:
        try:
            producer.produce(topic, raw)
            break
        except BufferError:
            producer.poll(0.5)
    producer.poll(0)  # runs the client's callbacks


def _flush(producer: Producer, within_s: float) -> int:
    """Wait for acknowledgements; return the number of records without one."""
    give_up_at = time.monotonic() + within_s
    # In slices, because a flush raises a refusal only at its end.
    while (left := producer.flush(min(SLICE_S, within_s))) and time.monotonic() < give_up_at:
        pass
    return left


def _explain_outage(producer: Producer, records: str, settings: Settings) -> BrokerUnavailable:
    doing = f"sending {records} to {settings.input.topic}"
    return get_connection(producer).explain_outage(doing, settings.kafka.broker_timeout_s)


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(from_json(line), dict)
    except ValueError as error:
        raise InvalidObject(str(error)) from None


def _wrap(text: str, settings: InputSettings) -> bytes:
    wrapped: object = text
    for name in reversed(settings.text_path.split(".")):
        wrapped = {name: wrapped}
    return json.dumps(wrapped, ensure_ascii=False).encode()
