"""The headers of a dead letter: why a record could not be tagged.

Those that Kafka Connect has a name for carry it (`__connect.errors.…`, KIP-298), so that tools built for Connect's
dead-letter queues read ours. Key, value, timestamp and all other headers are the original's, byte for byte.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from .result import rfc3339

Headers = Sequence[tuple[str, bytes | None]]

CONNECT = "__connect.errors."
EMOTAG = "emotag.errors."

NAMES = {
    "topic": CONNECT + "topic",
    "partition": CONNECT + "partition",
    "offset": CONNECT + "offset",
    "class_name": CONNECT + "class.name",
    "exception_class": CONNECT + "exception.class.name",
    "exception_message": CONNECT + "exception.message",
    "stage": CONNECT + "stage",
    "attempts": EMOTAG + "attempts",
    "consumer_group": EMOTAG + "consumer.group",
    "failed_at": EMOTAG + "failed.at",
    "worker_version": EMOTAG + "worker.version",
}
"""Field to header."""

COUNTED = re.compile(rb"[1-9][0-9]{0,5}")
"""How emotag says a number of attempts; nobody has replayed a million times."""

MAX_MESSAGE_BYTES = 1024
"""The longest exception message that is carried: headers count towards the size limit of the record, which has to fit
into the dead-letter topic together with its reason."""


def _cut(message: str) -> str:
    # A character that straddles the limit goes as a whole.
    return message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


class DeadLetterHeaders(BaseModel):
    """Where a dead letter came from, and why.

    Attributes:
        topic, partition, offset: where the record was read.
        class_name: the room of the worker that refused it.
        exception_class: the reason's name, one of a closed list.
        exception_message: the reason for people, cut to MAX_MESSAGE_BYTES. It must not contain any of the record, whose
            text may be private: nothing here can tell, so whoever words the message answers for it.
        stage: `decode` or `tag`.
        attempts: how often it was tried: 1, and one more for each time that `emotag dlq replay` put it back.
        consumer_group: of the worker.
        failed_at: when.
        worker_version: emotag's.
    """

    model_config = ConfigDict(frozen=True)

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    class_name: str
    exception_class: str
    exception_message: Annotated[str, AfterValidator(_cut)]
    stage: str
    attempts: Annotated[int, Field(ge=1)]
    consumer_group: str
    failed_at: AwareDatetime
    worker_version: str

    def to_headers(self) -> list[tuple[str, bytes]]:
        """As record headers, UTF-8."""
        return [(name, _text(getattr(self, field)).encode()) for field, name in NAMES.items()]

    @classmethod
    def from_headers(cls, headers: Headers | None) -> Self:
        """Read them from a dead letter; where a name stands twice, the last one counts.

        Args:
            headers: as a client gives them, which is None where there are none.

        Raises:
            ValueError: a header is missing or not what it should be.
        """
        found = {name: value for name, value in headers or () if value is not None}
        missing = [name for name in NAMES.values() if name not in found]
        if missing:
            raise ValueError(f"not a dead letter of emotag's: no header {', '.join(missing)}")
        return cls.model_validate({field: found[name].decode() for field, name in NAMES.items()})


def without_error_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A dead letter's headers as they were before it became one, byte for byte.

    Only the last header of each name is taken off, since that is where `to_headers` stands: a record that came out of
    another dead-letter queue keeps what that queue said of it.
    """
    ours = set(NAMES.values())
    own = []
    for name, value in reversed(headers):
        if name in ours:
            ours.remove(name)
        else:
            own.append((name, value))
    return own[::-1]


def put_back_headers(own: Headers, attempts: int) -> list[tuple[str, bytes | None]]:
    """Headers of a record that is put back on the input topic: its own, and how often it was tried.

    The last one is the only trace of a replay, and the only one that a record can carry: no result repeats it, and
    a dead letter counts on from it.
    """
    return [*own, (NAMES["attempts"], str(attempts).encode())]


def tried_before(headers: Headers) -> tuple[Headers, int]:
    """A record's own headers, and how often it was tried before it was put back: 0 where it never was.

    Only a last header counts. A record that came out of another dead-letter queue with all that was said of it there
    ends with another one, and keeps them all.
    """
    name, value = headers[-1] if headers else ("", None)
    if name == NAMES["attempts"] and value is not None and COUNTED.fullmatch(value):
        return headers[:-1], int(value)
    return headers, 0


def _text(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
