"""Calls in a thread of their own, which nobody has to wait for."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """A thread, or some, that run calls in turn and never hold up the end of the process.

    The standard library's executors join their threads when the interpreter ends: a call that hangs in a client or a
    driver would hang the worker after it had said why it stops.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run *call* once its turn comes; the future can be cancelled until then."""
        answer: Future[T] = Future()
        self._calls.put((answer, lambda: call(*args, **kwargs)))
        return answer

    def close(self, timeout_s: float) -> bool:
        """End the threads after what they were given; waits up to *timeout_s*, and says whether that was enough."""
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
            except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
                answer.set_exception(error)
