"""Lines to the input topic: `emotag produce`."""

import json
from collections.abc import Iterable, Iterator
from typing import TextIO

from confluent_kafka import Producer
from pydantic_core import from_json

from .errors import EmotagError
from .lines import as_they_come
from .settings import InputSettings, Settings
from .sink import DeliveryFailures

LINES = 1000
"""Lines handed over before the client's callbacks are served."""


class FeedIncomplete(EmotagError):
    """Not every line was taken by the brokers, and why."""


def feed(producer: Producer, failures: DeliveryFailures, stream: TextIO, settings: Settings) -> int:
    """Produce every line of *stream*; returns how many records the brokers took.

    Raises:
        FeedIncomplete: they did not take them all.
    """
    sent = 0
    for batch in as_they_come(stream, most=LINES):
        for value in values(batch, settings.input):
            while True:
                try:
                    producer.produce(settings.input.topic, value)
                    break
                except BufferError:
                    producer.poll(0.5)
            sent += 1
        producer.poll(0)
    if producer.flush(settings.kafka.unavailable_s) or failures.first is not None:
        why = failures.first[1].str() if failures.first else "no broker answered in time"
        raise FeedIncomplete(f"not all of {sent} records were taken by {settings.input.topic}: {why}")
    return sent


def values(lines: Iterable[str], settings: InputSettings) -> Iterator[bytes]:
    """Each line as a value the worker reads: a JSON object as it stands, any other line as the text of one.

    With `input.format = text` every line is a value as it stands. Blank lines are left out.
    """
    for line in lines:
        if line.strip():
            yield line.encode() if settings.format == "text" or _is_object(line) else _wrapped(line, settings)


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(from_json(line), dict)
    except ValueError:
        return False


def _wrapped(text: str, settings: InputSettings) -> bytes:
    value: object = text
    for name in reversed(settings.text_path.split(".")):
        value = {name: value}
    return json.dumps(value, ensure_ascii=False).encode()
