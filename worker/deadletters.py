"""What lies in the dead-letter topic: `emotag dlq list`."""

import base64
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.dead_letter import DeadLetterHeaders, Headers
from schemas.result import rfc3339

from .broker_errors import stop_if_denied
from .errors import BadRecord, BrokerUnavailable, EmotagError
from .show import shortened
from .topics import ANSWER_S, partitions

UNKNOWN = "unknown"
"""The reason of a record that is no dead letter of emotag's."""

WIDTH = 200
"""Of a value on a terminal."""


class NoSuchReason(EmotagError):
    def __init__(self, given: str) -> None:
        super().__init__(f"{given} is no reason of a dead letter; there are {', '.join(reasons())}")


@dataclass(frozen=True)
class DeadLetter:
    """One record of the dead-letter topic, at its place there.

    Attributes:
        why: what its headers say; None where they are not emotag's.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    why: DeadLetterHeaders | None

    @property
    def reason(self) -> str:
        """The name of what was wrong with it."""
        return UNKNOWN if self.why is None else self.why.exception_class


def reasons() -> list[str]:
    """The closed list of names that a dead letter of emotag's may have for what is wrong with it."""
    return sorted(kind.__name__ for kind in BadRecord.__subclasses__())


def known(reason: str | None) -> str | None:
    """A reason as it was given.

    Raises:
        NoSuchReason: no dead letter has it.
    """
    if reason is not None and reason not in reasons():
        raise NoSuchReason(reason)
    return reason


def extent(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """Per partition, the first offset that is there and the one after the last committed record, as of now.

    Raises:
        TopicAbsent: there is no such topic.
        BrokerUnavailable: no broker answers.
        Denied: the brokers do not let this client in.
    """
    found = {}
    for partition in partitions(consumer, topic):
        try:
            bounds = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
        except KafkaException as error:
            stop_if_denied(error.args[0], of=topic)
            raise BrokerUnavailable("looking for offsets", ANSWER_S, error.args[0].str()) from error
        if not bounds:  # what the client gives where a broker does not answer
            raise BrokerUnavailable("looking for offsets", ANSWER_S, f"none for {topic}-{partition}")
        found[partition] = bounds
    return found


def between(
    consumer: Consumer, topic: str, ranges: Mapping[int, tuple[int, int]], *, patience_s: float
) -> Iterator[DeadLetter]:
    """Committed records of each partition from its first offset to before its last one; ends when all are read.

    No group is joined and nothing is committed: whoever looks takes nothing from anyone.

    Args:
        consumer: told to say where a partition ends: behind the last record of a transaction there are offsets of none.
        patience_s: how long the brokers may be silent.

    Raises:
        BrokerUnavailable: they were, for longer.
        Denied: they do not let this client read.
    """
    ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
    consumer.assign([TopicPartition(topic, partition, ranges[partition][0]) for partition in ends])
    heard_at, trouble = time.monotonic(), "nothing came"
    while ends:
        message = consumer.poll(min(1.0, patience_s))
        error = None if message is None else message.error()
        if message is not None and error is None:
            partition, offset = cast("int", message.partition()), cast("int", message.offset())
            if offset < ends.get(partition, 0):
                yield _dead_letter(message)
            if offset + 1 >= ends.get(partition, 0):
                ends.pop(partition, None)
            heard_at = time.monotonic()
            continue
        if message is not None and error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                ends.pop(cast("int", message.partition()), None)
                heard_at = time.monotonic()
                continue
            if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # as good as none: its group is not used here
                stop_if_denied(error, of=topic)
            trouble = error.str()
        if time.monotonic() - heard_at > patience_s:
            raise BrokerUnavailable("reading dead letters", patience_s, trouble)
    consumer.unassign()


def as_object(letter: DeadLetter, *, texts: bool) -> dict[str, Any]:
    """What `emotag dlq list --json` says of one.

    Args:
        texts: also the record's key and value, and what was said of it.
    """
    why = letter.why
    shown: dict[str, Any] = {
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "stage": why and why.stage,
        "failed_at": why and rfc3339(why.failed_at),
        "attempts": why and why.attempts,
        "group": why and why.consumer_group,
        "input": why and {"topic": why.topic, "partition": why.partition, "offset": why.offset},
    }
    if texts:
        shown["message"] = why and why.exception_message
        shown |= _in_words("key", letter.key) | _in_words("value", letter.value)
    return shown


def as_line(letter: DeadLetter, *, texts: bool) -> str:
    """The same for people."""
    why = letter.why
    place = f"{letter.partition}@{letter.offset}"
    if why is None:
        line = f"{place}  no dead letter of emotag's"
    else:
        # A record like this can be anybody's: what its headers hold does not reach the terminal as it is.
        source = shortened(f"{why.topic} {why.partition}@{why.offset}", WIDTH)
        reason, stage = shortened(letter.reason, 40), shortened(why.stage, 20)
        again = f"  attempt {why.attempts}" if why.attempts > 1 else ""
        line = f"{place}  {rfc3339(why.failed_at)}  {reason:<18}{stage:<8}{source}{again}"
    if texts:
        said = [why.exception_message] if why else []
        value = "(null)" if letter.value is None else letter.value.decode("utf-8", "replace")
        line += "".join(f"\n    {shortened(words, WIDTH)}" for words in [*said, value])
    return line


def summary(listed: Counter[str], *, topic: str) -> str:
    """How many there were of each reason, in lines."""
    if not listed:
        return f"no dead letters in {topic}"
    return "\n".join([f"{listed.total()} in {topic}", *(f"  {why:<18}{n:>8}" for why, n in listed.most_common())])


def _dead_letter(message: Message) -> DeadLetter:
    headers = _headers(message)
    try:
        why = DeadLetterHeaders.from_headers(headers)
    except ValueError:
        why = None
    kind, timestamp_ms = message.timestamp()
    return DeadLetter(
        partition=cast("int", message.partition()),
        offset=cast("int", message.offset()),
        key=message.key(),
        value=message.value(),
        headers=headers,
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        why=why,
    )


def _headers(message: Message) -> Headers:
    try:
        return cast("Headers", message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # a name that is no UTF-8: not one that emotag wrote
        return ()


def _in_words(name: str, raw: bytes | None) -> dict[str, str | None]:
    """Bytes as JSON can say them, under a name that says how."""
    try:
        return {name: None if raw is None else raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw or b"").decode()}
