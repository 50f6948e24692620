"""A record: what comes from a topic, and what goes to one."""

from dataclasses import dataclass, field

from schemas.dead_letter import Headers as Headers  # said once, where a consumer has it too


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = ()
    """None where they cannot be read."""
    timestamp_ms: int | None = None
    """Milliseconds since 1970, UTC; None where the producer gave none."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written. Without a timestamp the broker's clock gives one."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default=())
    timestamp_ms: int | None = None
