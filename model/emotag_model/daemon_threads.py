"""Calls in daemon threads: the process can end without waiting for them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """One or more threads that run calls in turn and never delay the end of the process.

    The standard library's executors join their threads when the interpreter ends: a call that hangs in a client or a
    driver would then hang the worker after it has reported why it stops.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run *call* when its turn comes; the future can be cancelled until then."""
        answer: Future[T] = Future()
        self._calls.put((answer, lambda: call(*args, **kwargs)))
        return answer

    def close(self, timeout_s: float) -> bool:
        """End the threads after their remaining calls; wait up to *timeout_s*. Return False if one is still running."""
        give_up_at = time.monotonic() + timeout_s
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (given := self._calls.get()) is not None:
            answer, call = given
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001  (raised by `Future.result`)
                answer.set_exception(error)
