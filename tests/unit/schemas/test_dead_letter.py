"""The headers of dead letters and of records that are put back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotag_schemas import DeadLetterHeaders
from emotag_schemas.dead_letter import (
    MAX_MESSAGE_BYTES,
    NAMES,
    STUB_NAMES,
    Headers,
    StubHeaders,
    add_attempts,
    remove_error_headers,
    split_attempts,
)

NOW = datetime(2026, 11, 23, 7, 0, 0, 123_999, tzinfo=UTC)
UNICODE = st.text(st.characters(codec="utf-8"))
HEADERS = st.lists(st.tuples(st.sampled_from(["a", *NAMES.values()]) | UNICODE, st.none() | st.binary()))


def failure(*, topic: str = "t", offset: int = 0, message: str = "m", attempts: int = 1) -> DeadLetterHeaders:
    return DeadLetterHeaders(
        topic=topic,
        partition=0,
        offset=offset,
        class_name="c",
        exception_class="NotJson",
        exception_message=message,
        stage="decode",
        attempts=attempts,
        consumer_group="g",
        failed_at=NOW.replace(microsecond=123_000),
        worker_version="1",
    )


def test_the_failure_headers_have_the_contracts_names() -> None:
    connect = ("topic", "partition", "offset", "class.name", "exception.class.name", "exception.message", "stage")
    ours = ("attempts", "consumer.group", "failed.at", "worker.version")
    expected = [f"__connect.errors.{name}" for name in connect] + [f"emotag.errors.{name}" for name in ours]
    assert expected == list(NAMES.values())


@given(UNICODE, UNICODE, st.integers(0), st.integers(1))
def test_failure_headers_come_back_as_they_were_written(topic: str, message: str, offset: int, attempts: int) -> None:
    written = failure(topic=topic, offset=offset, message=message, attempts=attempts)
    assert written == DeadLetterHeaders.from_headers(written.to_headers())
    assert message == written.exception_message


def test_only_a_stub_has_the_headers_of_a_stub() -> None:
    stub = StubHeaders(value_bytes=3, value_sha256="0" * 64, refusal="too large")
    names = ["emotag.errors.value.bytes", "emotag.errors.value.sha256", "emotag.errors.refusal"]
    assert names == list(STUB_NAMES.values()) == [name for name, _ in stub.to_headers()]
    why = failure().to_headers()
    assert stub == StubHeaders.from_headers([*why, *stub.to_headers()])
    assert [None] * 4 == [
        StubHeaders.from_headers(headers)
        for headers in (
            None,
            why,
            [*stub.to_headers(), *why],
            [*why, *stub.to_headers()[:2], ("emotag.errors.refusal", b"\xff")],
        )
    ]


@pytest.mark.parametrize("character", ["a", "é", "…", "😀"])
def test_a_long_reason_is_cut_between_characters(character: str) -> None:
    """To at most 1024 bytes, at the end of a character; the same text is read back."""
    message = "x" + character * 2000
    written = failure(message=message)
    assert message.startswith(written.exception_message)
    assert 0 <= MAX_MESSAGE_BYTES - len(written.exception_message.encode()) < 4
    assert written == DeadLetterHeaders.from_headers(written.to_headers())


@given(HEADERS)
def test_taking_the_failure_headers_off_leaves_the_records_own_whatever_their_names(own: Headers) -> None:
    """A record from another dead-letter queue has headers with the same names, and keeps them."""
    assert own == remove_error_headers([*own, *failure().to_headers()])


@given(HEADERS)
def test_where_a_name_stands_twice_emotags_own_is_read(own: Headers) -> None:
    assert failure() == DeadLetterHeaders.from_headers([*own, *failure().to_headers()])


@given(HEADERS, st.integers(1, 999_999))
def test_a_record_that_is_put_back_has_its_own_headers_and_how_often_it_was_tried(own: Headers, attempts: int) -> None:
    assert (own, attempts) == split_attempts(add_attempts(own, attempts))


@pytest.mark.parametrize("value", [None, b"", b"0", b"-1", b"1.5", b"one", b"1000000", "٣".encode()])
def test_a_number_that_emotag_did_not_count_is_the_producers_own(value: bytes | None) -> None:
    own = [(NAMES["attempts"], value)]
    assert (own, 0) == split_attempts(own)


def test_a_whole_dead_letter_that_is_sent_as_it_is_keeps_what_was_said_of_it() -> None:
    """Such a record comes from another dead-letter queue, by another tool."""
    own = failure().to_headers()
    assert (own, 0) == split_attempts(own)


def test_headers_that_are_no_dead_letters_are_refused_by_name() -> None:
    """A client returns None for a record without headers."""
    with pytest.raises(ValueError, match=r"emotag\.errors\.attempts"):
        DeadLetterHeaders.from_headers(None)
    with pytest.raises(ValueError, match=r"emotag\.errors\.attempts"):
        DeadLetterHeaders.from_headers([(name, b"1") for name in NAMES.values() if not name.endswith("attempts")])
