"""Read lines of a file or a pipe as they arrive."""

import io
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class _End:
    """The end of the stream.

    Attributes:
        error: the error that ended it, if any.
    """

    error: Exception | None = None


def open_stdin(*, errors: str) -> TextIO:
    """Return stdin as UTF-8, regardless of the locale; a stream without lines if stdin is closed.

    Args:
        errors: how to handle bytes that are not UTF-8, as in `bytes.decode`.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors=errors)
    return sys.stdin or io.StringIO()


def strip_line_ends(stream: TextIO) -> Iterator[str]:
    """Yield lines without LF or CR LF, and without the byte order mark that some editors write at the beginning."""
    for number, line in enumerate(stream):
        yield (line if number else line.removeprefix("\ufeff")).rstrip("\r\n")


def read_lines_as_they_come(stream: TextIO, *, most: int) -> Iterator[list[str]]:
    """Yield batches of the lines that have arrived, so that a slow pipe does not wait for a full batch.

    Args:
        most: lines of one batch.

    Raises:
        Exception: the error that ended the stream, after the lines before it.
    """
    arrived: queue.Queue[str | _End] = queue.Queue(maxsize=8 * most)

    def read() -> None:
        try:
            for line in strip_line_ends(stream):
                arrived.put(line)
        except Exception as error:  # noqa: BLE001  (raised again below, in the caller's thread)
            arrived.put(_End(error))
        else:
            arrived.put(_End())

    threading.Thread(target=read, name="lines", daemon=True).start()
    end: _End | None = None
    while end is None:
        batch: list[str] = []
        while end is None and len(batch) < most and not (batch and arrived.empty()):
            match arrived.get():
                case str(line):
                    batch.append(line)
                case ended:
                    end = ended
        if batch:
            yield batch
    if end.error is not None:
        raise end.error
