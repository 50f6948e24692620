"""Lines of a file or a pipe, and the values of the input topic they stand for."""

import json
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TextIO

from pydantic_core import from_json

from .settings import InputSettings


def as_they_come(stream: TextIO, *, most: int) -> Iterator[list[str]]:
    """Lines without their ends, in batches of what has arrived: a slow pipe need not wait for a full one.

    Args:
        most: lines of one batch.
    """
    arrived: queue.Queue[str | None] = queue.Queue(maxsize=8 * most)

    def read() -> None:
        for line in stream:
            arrived.put(line.rstrip("\r\n"))
        arrived.put(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (first := arrived.get()) is not None:
        batch = [first]
        while len(batch) < most and not arrived.empty():
            line = arrived.get()
            if line is None:
                yield batch
                return
            batch.append(line)
        yield batch


def values(lines: Iterable[str], settings: InputSettings) -> Iterator[bytes]:
    """Each line as a value the worker reads: a JSON object as it stands, any other line as the text of one.

    With `input.format = text` every line is a value as it stands. Blank lines are left out.
    """
    for line in lines:
        if line.strip():
            yield line.encode() if settings.format == "text" or _is_object(line) else _wrapped(line, settings)


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(from_json(line), dict)
    except ValueError:
        return False


def _wrapped(text: str, settings: InputSettings) -> bytes:
    value: object = text
    for name in reversed(settings.text_path.split(".")):
        value = {name: value}
    return json.dumps(value, ensure_ascii=False).encode()
