"""Lines of a stream, whatever is in them."""

import io
import sys
from collections.abc import Iterator

import pytest

from emotag_worker.terminal.stdin import open_stdin, read_lines_as_they_come, strip_line_ends


class Broken(io.BytesIO):
    """A disk that fails after the bytes that are given."""

    def read1(self, size: int | None = -1) -> bytes:
        found = super().read1(size)
        if not found:
            raise OSError(5, "Input/output error")
        return found


@pytest.mark.parametrize("most", [1, 2, 100])
def test_every_line_comes_once_and_in_order(most: int) -> None:
    batches = list(read_lines_as_they_come(io.StringIO("a\n\nb\nc"), most=most))
    assert ["a", "", "b", "c"] == [line for batch in batches for line in batch]
    assert all(0 < len(batch) <= most for batch in batches)


@pytest.mark.parametrize("most", [1, 2, 100])
def test_an_error_of_the_stream_follows_the_lines_before_it(most: int) -> None:
    """The caller gets the error of the thread that reads, instead of waiting for its lines forever."""
    seen: list[str] = []

    def keep(batches: Iterator[list[str]]) -> None:
        for batch in batches:
            seen.extend(batch)

    with pytest.raises(OSError, match="Input/output"):
        keep(read_lines_as_they_come(io.TextIOWrapper(Broken(b"a\nb\n"), encoding="utf-8"), most=most))
    assert ["a", "b"] == seen


def test_bytes_that_cannot_be_decoded_end_the_lines_with_their_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(read_lines_as_they_come(io.TextIOWrapper(io.BytesIO(b"a\n\xff\n"), encoding="utf-8"), most=2))


def test_a_byte_order_mark_and_windows_line_ends_are_no_text() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa\r\n\r\nb \xef\xbb\xbf\r\n"), encoding="utf-8", newline="")
    assert ["a", "", "b \ufeff"] == list(strip_line_ends(stream))


def test_stdin_is_utf_8_whatever_the_locale_says(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO("café\n".encode() + b"\xff\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    assert ["café", "\ufffd"] == list(strip_line_ends(open_stdin(errors="replace")))


def test_a_closed_stdin_has_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert [] == list(read_lines_as_they_come(open_stdin(errors="replace"), most=2))
