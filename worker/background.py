"""Calls in a thread of their own, which nobody has to wait for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """One thread that runs calls in turn and never holds up the end of the process.

    The standard library's executors join their threads when the interpreter ends: a call that hangs in a client or a
    driver would hang the worker after it had said why it stops.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run *call* once its turn comes; the future can be cancelled until then."""
        answer: Future[T] = Future()
        self._calls.put((answer, lambda: call(*args, **kwargs)))
        return answer

    def close(self, timeout_s: float) -> bool:
        """End the thread after what it was given; waits up to *timeout_s*, and says whether that was enough."""
        self._calls.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (given := self._calls.get()) is not None:
            answer, call = given
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
                answer.set_exception(error)
