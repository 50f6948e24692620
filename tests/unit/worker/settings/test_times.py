"""Times that a user writes."""

from datetime import UTC, datetime

import pytest

from emotag_worker.settings.times import parse_time, to_ms


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30T06:00:00Z", datetime(2026, 11, 30, 6, tzinfo=UTC)),
        ("2026-11-30t06:00:00z", datetime(2026, 11, 30, 6, tzinfo=UTC)),
        ("2026-11-30 07:30:00.25+01:30", datetime(2026, 11, 30, 6, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-30T06:00:00.123456789Z", datetime(2026, 11, 30, 6, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_with_its_zone_is_read(text: str, moment: datetime) -> None:
    assert moment == parse_time(text)


@pytest.mark.parametrize(
    "text", ["2026-11-30T06:00:00", "2026-11-30", "yesterday", "", "2026-13-30T06:00:00Z", "1764482400"]
)
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    """Two machines would read it as two times."""
    with pytest.raises(ValueError):  # noqa: PT011  (pydantic and the commands turn it into their own messages)
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00+01:00"],
)
def test_a_time_that_no_record_has_is_refused_with_the_years(text: str) -> None:
    """Kafka's times are milliseconds since 1970, and Python's end with the year 9999."""
    with pytest.raises(ValueError, match="is not within the years 1970 to 9998"):
        parse_time(text)


def test_a_fraction_of_a_millisecond_counts_as_one_more() -> None:
    """Kafka's timestamps have milliseconds: a record of the millisecond before is earlier than the time."""
    assert [1_000, 1_001, 1_001] == [to_ms(datetime.fromtimestamp(1, UTC).replace(microsecond=n)) for n in (0, 1, 1000)]
