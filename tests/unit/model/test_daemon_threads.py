"""Calls in daemon threads."""

import subprocess
import sys
import threading

import pytest

from emotag_model.daemon_threads import Background


def test_calls_run_in_turn_and_return_their_results() -> None:
    order: list[int] = []
    thread = Background("test")
    futures = [thread.submit(order.append, number) for number in range(20)]
    for future in futures:
        future.result(5)
    assert list(range(20)) == order
    assert thread.close(5)


def test_an_error_is_raised_for_the_caller_and_the_thread_continues() -> None:
    thread = Background("test")
    with pytest.raises(ZeroDivisionError):
        thread.submit(lambda: 1 / 0).result(5)
    assert 4 == thread.submit(lambda: 4).result(5)
    assert thread.close(5)


def test_a_call_can_be_cancelled_before_its_turn() -> None:
    thread, go = Background("test"), threading.Event()
    first = thread.submit(go.wait, 5)
    second = thread.submit(pytest.fail, "it was cancelled")
    assert second.cancel()
    go.set()
    assert first.result(5)
    assert thread.close(5)


def test_closing_reports_a_call_that_hangs() -> None:
    thread, go = Background("test"), threading.Event()
    thread.submit(go.wait, 30)
    assert not thread.close(0.05)
    go.set()


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import threading\n"
        "from emotag_model.daemon_threads import Background\n"
        "Background('test').submit(threading.Event().wait)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
