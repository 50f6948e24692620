"""Read the dead-letter topic: `emotag dlq list`."""

import base64
import difflib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from emotag_schemas.dead_letter import DeadLetterHeaders, StubHeaders
from emotag_schemas.result import format_rfc3339
from emotag_worker.errors import BadRecord, NoSuchReason
from emotag_worker.kafka.broker_errors import stop_if_denied
from emotag_worker.kafka.connection import get_connection
from emotag_worker.kafka.message import read_record
from emotag_worker.kafka.topics import await_topics, request
from emotag_worker.terminal.tables import count, shorten
from emotag_worker.wire.record import Record

UNKNOWN = "unknown"
"""The reason of a record in the dead-letter topic that emotag did not write."""

PLACE_WIDTH = 10
"""Characters for the partition and the offset of a place, so that short ones are aligned."""

WIDTH = 200
"""Characters of a value on a terminal."""

REASON_WIDTH = 40
"""Characters of a reason on a terminal. Anyone can write a dead letter, so it can be longer than emotag's own."""


@dataclass(frozen=True)
class DeadLetter:
    """One record of the dead-letter topic.

    Attributes:
        record: as it is in that topic, with its offset there.
        why: parsed from its headers; None if they are not emotag's.
        stub: what is left of a record that the brokers refused as a dead letter; None if the record is there.
    """

    record: Record
    why: DeadLetterHeaders | None
    stub: StubHeaders | None = None

    @property
    def reason(self) -> str:
        """The name of the error."""
        return UNKNOWN if self.why is None else self.why.exception_class


def list_reasons() -> list[str]:
    """Return all names of errors that a dead letter of emotag can have."""
    return sorted(kind.__name__ for kind in BadRecord.__subclasses__())


def require_reason(reason: str | None) -> str | None:
    """Return *reason* unchanged.

    Raises:
        NoSuchReason: no dead letter can have it.
    """
    reasons = {name.lower(): name for name in list_reasons()}
    if reason is not None and reason not in reasons.values():
        near = [reasons[name] for name in difflib.get_close_matches(reason.lower(), reasons, n=1)]
        raise NoSuchReason(reason, list_reasons(), f"did you mean {near[0]}? " if near else "")
    return reason


def read_extent(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """Return, for each partition, its first offset and the offset after its last committed record.

    Raises:
        TopicMissing: the topic does not exist.
        BrokerUnavailable: no broker answers.
        Denied: the brokers refuse this client.
        RequestRefused: the brokers refuse a request.
    """
    found = {}
    within_s = get_connection(consumer).answer_s

    def read_bounds(partition: int) -> tuple[int, int]:
        bounds = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=within_s)
        if not bounds:  # the client returns this if a broker does not answer
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return bounds

    for partition in await_topics(consumer, [topic])[topic]:
        doing = f"reading the offsets of {topic}-{partition}"
        found[partition] = request(consumer, doing, partial(read_bounds, partition), topic=topic)
    return found


def read_letters(
    consumer: Consumer, topic: str, ranges: Mapping[int, tuple[int, int]], *, within_s: float
) -> Iterator[DeadLetter]:
    """Yield the committed records of each partition from its first offset to before its last one.

    Joins no group and commits nothing: other consumers do not notice.

    Args:
        consumer: reports the end of a partition: after the last record of a transaction come offsets without records.
        within_s: longest time without an answer of the brokers.

    Raises:
        BrokerUnavailable: the brokers were silent for longer.
        Denied: the brokers refuse this client.
    """
    ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
    consumer.assign([TopicPartition(topic, partition, ranges[partition][0]) for partition in ends])
    heard_at = time.monotonic()
    last_error: KafkaError | None = None
    while ends:
        message = consumer.poll(min(1.0, within_s))
        error = None if message is None else message.error()
        if message is not None and error is None:
            letter = _read_letter(message)
            partition, offset = letter.record.partition, letter.record.offset
            if offset < ends.get(partition, 0):
                yield letter
            if offset + 1 >= ends.get(partition, 0):
                ends.pop(partition, None)
            heard_at, last_error = time.monotonic(), None
            continue
        if message is not None and error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                ends.pop(cast("int", message.partition()), None)
                heard_at = time.monotonic()
                continue
            if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # harmless: a reader does not use its group
                stop_if_denied(error, topic=topic)
                last_error = error
        if time.monotonic() - heard_at > within_s:
            raise get_connection(consumer).explain_outage("reading dead letters", within_s, last_error)
    consumer.unassign()


def render_object(letter: DeadLetter, *, state: str | None, texts: bool) -> dict[str, Any]:
    """Return the object of one dead letter in `emotag dlq list --json`.

    Args:
        state: as of `find_state`.
        texts: add the record's key and value.
    """
    why = letter.why
    shown: dict[str, Any] = {
        "partition": letter.record.partition,
        "offset": letter.record.offset,
        "state": state,
        "reason": letter.reason,
        "message": why and why.exception_message,
        "stage": why and why.stage,
        "failed_at": why and format_rfc3339(why.failed_at),
        "attempts": why and why.attempts,
        "group": why and why.consumer_group,
        "stub": letter.stub and letter.stub.model_dump(),
        "input": why and {"topic": why.topic, "partition": why.partition, "offset": why.offset},
    }
    if texts:
        shown |= _render_bytes("key", letter.record.key) | _render_bytes("value", letter.record.value)
    return shown


def render_header(topic: str, input_topic: str) -> str:
    """Return the first line of `emotag dlq list`."""
    place, source = f"{'POSITION':<{len(topic) + PLACE_WIDTH}}", f"{'INPUT':<{len(input_topic) + PLACE_WIDTH}}"
    return f"{place}  {'FAILED AT':<24}  {'STATE':<7}{'REASON':<18}{'STAGE':<10}{source}  MESSAGE"


def render_line(letter: DeadLetter, *, state: str | None, texts: bool) -> str:
    """Return the line of one dead letter in `emotag dlq list`; *texts* adds a line with the value."""
    why = letter.why
    place = _format_place(letter.record.topic, letter.record.partition, letter.record.offset)
    place = f"{place:<{len(letter.record.topic) + PLACE_WIDTH}}"
    if why is None:
        line = f"{place}  not a dead letter of emotag"
    else:
        # Anyone can write such a record, so control characters in its headers must not reach the terminal.
        source = shorten(_format_place(why.topic, why.partition, why.offset), WIDTH)
        source = f"{source:<{min(len(why.topic), WIDTH) + PLACE_WIDTH}}"
        reason, stage, message = (
            shorten(*each) for each in ((letter.reason, REASON_WIDTH), (why.stage, 20), (why.exception_message, WIDTH))
        )
        attempt = f" (attempt {why.attempts})" if why.attempts > 1 else ""
        when = format_rfc3339(why.failed_at)
        line = f"{place}  {when}  {state or '–':<7}{reason:<17} {stage:<9} {source}  {message}{attempt}"
        if letter.stub is not None:
            refusal = shorten(letter.stub.refusal, WIDTH)
            line += f"; stub without the value of {count(letter.stub.value_bytes, 'byte')} ({refusal})"
    if texts:
        raw = letter.record.value
        line += f"\n    {shorten('(null)' if raw is None else raw.decode('utf-8', 'replace'), WIDTH)}"
    return line


def render_summary(listed: Counter[str], *, topic: str) -> str:
    """Return lines with the number of dead letters for each reason."""
    lines = [f"  {shorten(reason, REASON_WIDTH):<18}{number:>8}" for reason, number in listed.most_common()]
    return "\n".join([f"{count(listed.total(), 'dead letter')} in {topic}", *lines])


def _format_place(topic: str, partition: int, offset: int) -> str:
    """Return a place in the form that Kafka's own tools use."""
    return f"{topic}-{partition}@{offset}"


def _read_letter(message: Message) -> DeadLetter:
    record = read_record(message)
    try:
        return DeadLetter(
            record, DeadLetterHeaders.from_headers(record.headers), StubHeaders.from_headers(record.headers)
        )
    except ValueError:
        return DeadLetter(record, None)


def _render_bytes(name: str, raw: bytes | None) -> dict[str, str | None]:
    """Return bytes as a JSON value, under a name that shows whether they are base64."""
    try:
        return {name: None if raw is None else raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw or b"").decode()}
