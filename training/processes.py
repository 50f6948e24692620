"""Jobs done by several processes at a time, each job in a process of its own, and how they end before they are done.

    jobs → so many at a time → positions of those that are done, as they end

Whoever is told to stop, and however, tells all of them, once: they leave what they can go on from. So they do when the
process that started them is no longer there.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread
from typing import Any

from .checkpoint import Interrupted
from .interrupt import Interrupt

HEARD_EVERY_S = 0.5
"""How long a signal may lie unheard while no job ends: short for a person, long for a loop that does nothing else."""


class ProcessDied(Exception):
    """A process ended without a word; with which code."""


def each_in_its_own(work: Callable[..., object], jobs: Sequence[tuple[Any, ...]], *, processes: int) -> Iterator[int]:
    """Call `work(*job, stop)` for every job, and give the position of each that is done, as they end.

    What *work* gives is not kept: it leaves that on disk.

    Args:
        work: found by its name in a fresh interpreter; it asks `stop()` now and then, and then raises `Interrupted`.
        processes: how many at a time.

    Raises:
        Interrupted: this process was told to stop, and all of them have.
        ProcessDied: one of them was killed.
        Exception: what *work* raised, after the others have been stopped.
    """
    # Spawned, not forked: a forked process cannot use a GPU that its parent has used.
    spawn = get_context("spawn")
    waiting = deque(enumerate(jobs))
    started: dict[int, tuple[SpawnProcess, Connection]] = {}
    with Interrupt() as stop:
        try:
            while waiting or started:
                while waiting and len(started) < processes:
                    position, job = waiting.popleft()
                    heard, tells = spawn.Pipe(duplex=False)
                    process = spawn.Process(target=_job, args=(work, job, tells))
                    process.start()
                    tells.close()
                    started[position] = process, heard
                ended = wait([process.sentinel for process, _ in started.values()], timeout=HEARD_EVERY_S)
                for position in [at for at, (process, _) in started.items() if process.sentinel in ended]:
                    _see_how_it_ended(*started.pop(position))
                    yield position
                if stop():
                    raise Interrupted("interrupted")
        finally:
            for process, _ in started.values():
                process.terminate()
            for process, _ in started.values():
                process.join()


def _see_how_it_ended(process: SpawnProcess, heard: Connection) -> None:
    """Raise what it raised."""
    process.join()
    with heard:
        try:
            error: Exception = heard.recv()
        except EOFError:  # it had nothing to say
            pass
        else:
            raise error
    if process.exitcode:
        raise ProcessDied(f"a process was ended by somebody else (code {process.exitcode}); was there memory enough?")


def _job(work: Callable[..., object], job: tuple[Any, ...], tells: Connection) -> None:
    """One job, in its process."""
    # In a group of its own a terminal's Ctrl-C does not reach it: it is told by the process that started it, and once.
    os.setpgrp()
    Thread(target=_end_with_parent, daemon=True).start()
    with Interrupt() as stop:
        try:
            work(*job, stop)
        except Exception as error:  # noqa: BLE001  (the process that started it raises it)
            tells.send(error)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
