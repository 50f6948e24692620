"""Lines of a file or a pipe, as they come."""

import io
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class _End:
    """Of the stream, and the error it ended with, if there was one."""

    error: Exception | None = None


def standard_input(*, errors: str) -> TextIO:
    """Stdin as UTF-8, whatever the locale says; without lines where it is closed.

    Args:
        errors: what becomes of bytes that are not UTF-8, as in `bytes.decode`.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors=errors)
    return sys.stdin or io.StringIO()


def without_ends(stream: TextIO) -> Iterator[str]:
    """Lines without their ends, LF or CR LF, and without the byte order mark that some editors begin a file with."""
    for number, line in enumerate(stream):
        yield (line if number else line.removeprefix("\ufeff")).rstrip("\r\n")


def as_they_come(stream: TextIO, *, most: int) -> Iterator[list[str]]:
    """The same in batches of what has arrived: a slow pipe need not wait for a full one.

    Args:
        most: lines of one batch.

    Raises:
        Exception: whatever reading the stream raised, after the lines before it.
    """
    arrived: queue.Queue[str | _End] = queue.Queue(maxsize=8 * most)

    def read() -> None:
        try:
            for line in without_ends(stream):
                arrived.put(line)
        except Exception as error:  # noqa: BLE001  (raised again where somebody can catch it)
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
