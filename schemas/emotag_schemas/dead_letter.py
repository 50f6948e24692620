"""The headers of a dead letter: why a record could not be tagged.

If Kafka Connect has a name for a header (`__connect.errors.…`, KIP-298), emotag uses this name, so that tools for
Connect's dead-letter queues can read the headers. Key, value, timestamp and all other headers are those of the original
record.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from .result import format_rfc3339

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
"""The name of the header for each field."""

STUB_NAMES = {
    "value_bytes": EMOTAG + "value.bytes",
    "value_sha256": EMOTAG + "value.sha256",
    "refusal": EMOTAG + "refusal",
}
"""The name of the header for each field of a stub."""

COUNTED = re.compile(rb"[1-9][0-9]{0,5}")
"""The form in which emotag writes a number of attempts; larger numbers are the producer's."""

MAX_MESSAGE_BYTES = 1024
"""The longest exception message. Headers count towards the size limit of a record, and the record must fit into the
dead-letter topic together with them."""


def _truncate(message: str) -> str:
    # A character that crosses the limit is dropped as a whole.
    return message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


class DeadLetterHeaders(BaseModel):
    """The origin of a dead letter, and the error. The headers of the original record come before them.

    The caller must not put any part of the record into `exception_message`, because the text may be private. This class
    cannot check that.
    """

    model_config = ConfigDict(frozen=True)

    topic: str = Field(description="The topic of the record.", examples=["texts"])
    partition: Annotated[int, Field(ge=0)] = Field(description="The partition of the record.", examples=[3])
    offset: Annotated[int, Field(ge=0)] = Field(description="The offset of the record.", examples=[1234])
    class_name: str = Field(
        description="The part of the worker that refused the record.", examples=["emotag.worker.decode"]
    )
    exception_class: str = Field(
        description="The reason, a name from a closed list: docs/troubleshooting.md explains each.",
        examples=["NoText", "NotJson", "WrongType"],
    )
    exception_message: Annotated[str, AfterValidator(_truncate)] = Field(
        description=f"The reason in words, at most {MAX_MESSAGE_BYTES} bytes. Contains no part of the record.",
        examples=["text is blank"],
    )
    stage: str = Field(
        description="The stage that refused the record: `decode`, `tokenize`, `tag` or `write`.",
        examples=["decode", "tokenize", "tag", "write"],
    )
    attempts: Annotated[int, Field(ge=1)] = Field(
        description="1, plus 1 for each time that `emotag dlq replay` put the record back.", examples=[1]
    )
    consumer_group: str = Field(description="The consumer group of the worker.", examples=["emotag"])
    failed_at: AwareDatetime = Field(description="The time of the error.", examples=["2026-11-24T14:37:43.272Z"])
    worker_version: str = Field(description="The version of emotag.", examples=["0.1.0"])

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of the record, in UTF-8."""
        return [(name, _format(getattr(self, field)).encode()) for field, name in NAMES.items()]

    @classmethod
    def from_headers(cls, headers: Headers | None) -> Self:
        """Parse the headers of a dead letter; of several headers with one name, the last counts.

        Args:
            headers: as the Kafka client returns them: None for a record without headers.

        Raises:
            ValueError: a header is missing or invalid.
        """
        found = {name: value for name, value in headers or () if value is not None}
        missing = [name for name in NAMES.values() if name not in found]
        if missing:
            raise ValueError(f"not a dead letter of emotag: no header {', '.join(missing)}")
        return cls.model_validate({field: found[name].decode() for field, name in NAMES.items()})


class StubHeaders(BaseModel):
    """The additional headers of a stub, a dead letter without its record: the brokers refuse it with the record.

    A stub has the headers of `DeadLetterHeaders` and these, and no value and no other headers. Its key is that of the
    record, or the position of the record if the record has no key or a large one. You find the record itself at its
    position in the input topic, until retention deletes it there.
    """

    model_config = ConfigDict(frozen=True)

    value_bytes: Annotated[int, Field(ge=0)] = Field(
        description="Only in a stub: the size of the record's value, uncompressed; 0 for a null value.",
        examples=[7200000],
    )
    value_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="Only in a stub: the SHA-256 of the record's value, in hexadecimal digits.",
        examples=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    )
    refusal: Annotated[str, AfterValidator(_truncate)] = Field(
        description="Only in a stub: why the brokers refuse the dead letter with its record.",
        examples=["Broker: Message size too large"],
    )

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers in UTF-8."""
        return [(name, _format(getattr(self, field)).encode()) for field, name in STUB_NAMES.items()]

    @classmethod
    def from_headers(cls, headers: Headers | None) -> Self | None:
        """Parse the headers of a dead letter; return None if it is no stub.

        Args:
            headers: as for `DeadLetterHeaders.from_headers`.
        """
        last = dict((headers or ())[-len(STUB_NAMES) :])
        try:
            return cls.model_validate({field: (last[name] or b"").decode() for field, name in STUB_NAMES.items()})
        except (KeyError, ValueError):  # a dead letter ends with another header
            return None


def remove_error_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return the headers that the record had before it became a dead letter.

    Removes only the last header of each name, because the worker appends its headers. A record from another dead-letter
    queue keeps the headers of that queue.
    """
    ours = set(NAMES.values())
    own = []
    for name, value in reversed(headers):
        if name in ours:
            ours.remove(name)
        else:
            own.append((name, value))
    return own[::-1]


def add_attempts(own: Headers, attempts: int) -> list[tuple[str, bytes | None]]:
    """Return the headers of a record that is put back on the input topic: its own, and the number of attempts.

    The added header is the only trace of a replay. No result repeats it, and a dead letter continues its count.
    """
    return [*own, (NAMES["attempts"], str(attempts).encode())]


def split_attempts(headers: Headers) -> tuple[Headers, int]:
    """Return a record's own headers, and the number of attempts before it was put back: 0 if it never was.

    Only the last header counts. A record from another dead-letter queue, with all of its error headers, ends with
    another header and keeps them all.
    """
    name, value = headers[-1] if headers else ("", None)
    if name == NAMES["attempts"] and value is not None and COUNTED.fullmatch(value):
        return headers[:-1], int(value)
    return headers, 0


def _format(value: object) -> str:
    return format_rfc3339(value) if isinstance(value, datetime) else str(value)
