"""Lines of a file or a pipe, as they come."""

import queue
import threading
from collections.abc import Iterator
from typing import TextIO


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
