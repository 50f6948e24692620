"""Lines to the input topic: `emotag produce`."""

import json
import time
from typing import TextIO

from confluent_kafka import Producer
from pydantic_core import from_json

from .delivery import DeliveryFailures
from .errors import EmotagError
from .lines import without_ends
from .settings import InputSettings, Settings

SLICE_S = 0.5
"""Longest single wait for brokers to take what was sent: a refusal shows at the latest after this."""


class NoObject(ValueError):
    """A line that begins with a brace and is no JSON: a message gone wrong, rather than a text."""


class FeedIncomplete(EmotagError):
    """Not every line became a record of the input topic, and why."""


def feed(producer: Producer, failures: DeliveryFailures, stream: TextIO, settings: Settings) -> int:
    """Produce every line of *stream*; returns how many records the brokers took.

    Args:
        stream: UTF-8; opened with `surrogateescape`, so that the very line with other bytes in it can be named.

    Raises:
        FeedIncomplete: the brokers did not take them all, or the stream could not be read to its end. What was read
            before is sent.
        Denied: the brokers do not let this client in.
    """
    topic = settings.input.topic
    read, sent, missing = 0, 0, ""
    try:
        for line in without_ends(stream):
            read += 1
            if line.strip():
                _produce(producer, topic, value(line, settings.input))
                sent += 1
    except UnicodeEncodeError:
        missing = f"line {read} is not UTF-8"
    except NoObject as error:
        missing = (
            f'line {read} begins as a JSON object and is none ({error}); a text with a brace goes as {{"text": "…"}}'
        )
    except OSError as error:
        missing = f"nothing after line {read} could be read ({error.strerror})"
    if _unsent(producer, settings.kafka.unavailable_s) or failures.first is not None:
        why = failures.first[1].str() if failures.first else "no broker answered in time"
        raise FeedIncomplete(f"not all of {sent} records were taken by {topic}: {why}")
    if missing:
        raise FeedIncomplete(f"{missing}; {sent} records before it went to {topic}, none after it")
    return sent


def value(line: str, settings: InputSettings) -> bytes:
    """A line as a value the worker reads: a JSON object as it stands, any other line as the text of one.

    With `input.format = text` every line is a value as it stands.

    Raises:
        UnicodeEncodeError: the line holds what UTF-8 cannot.
        NoObject: it begins as an object and is none.
    """
    raw = line.encode()
    return raw if settings.format == "text" or _is_object(line) else _wrapped(line, settings)


def _produce(producer: Producer, topic: str, raw: bytes) -> None:
    while True:
        try:
            producer.produce(topic, raw)
            break
        except BufferError:
            producer.poll(0.5)
    producer.poll(0)  # the client's callbacks


def _unsent(producer: Producer, patience_s: float) -> int:
    """How many records no broker has taken by then."""
    give_up_at = time.monotonic() + patience_s
    # A refusal comes out of a flush only at its end.
    while (left := producer.flush(min(SLICE_S, patience_s))) and time.monotonic() < give_up_at:
        pass
    return left


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(from_json(line), dict)
    except ValueError as error:
        raise NoObject(str(error)) from None


def _wrapped(text: str, settings: InputSettings) -> bytes:
    wrapped: object = text
    for name in reversed(settings.text_path.split(".")):
        wrapped = {name: wrapped}
    return json.dumps(wrapped, ensure_ascii=False).encode()
