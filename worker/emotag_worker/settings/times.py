"""Times that a user writes: RFC 3339, always with a zone."""

import re
from datetime import UTC, datetime

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")

TIME_WORDS = "an RFC 3339 time with its zone, for example 2026-11-30T06:00:00Z"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The first time that a record can have."""
END = datetime(9999, 1, 1, tzinfo=UTC)
"""A time that Python can convert to every zone."""


def parse_time(text: str) -> datetime:
    """Return the time in UTC.

    Raises:
        ValueError: the text has another form, or no zone, or names a time that no record can have.
    """
    if not RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is not {TIME_WORDS}")
    # Python reads at most six digits of a second.
    written = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
    if not EPOCH <= written < END:
        raise ValueError(f"{text!r} is not within the years {EPOCH.year} to {END.year - 1}")
    return written.astimezone(UTC)


def to_ms(moment: datetime) -> int:
    """Return the milliseconds since 1970 at which *moment* has been reached: a fraction counts as one more."""
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1000 - (-moment.microsecond // 1000)
