"""The first signal sets a flag; outside the main thread, no signal is handled."""

import signal
from concurrent.futures import ThreadPoolExecutor

from emotag_training.loop.interrupt import Interrupt


def test_the_first_signal_sets_the_flag_and_restores_the_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert before == signal.getsignal(signal.SIGTERM)


def test_another_thread_than_the_main_one_installs_no_handlers() -> None:
    """A notebook or a server can call `fit` there."""
    before = signal.getsignal(signal.SIGINT)

    def enter() -> bool:
        with Interrupt() as stop:
            assert before == signal.getsignal(signal.SIGINT)
            return stop()

    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(enter).result()
