"""The circuit breaker: when it opens, for how long, and what closes it."""

from emotag_worker.cache.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_breaker_opens_at_a_failure_for_a_pause_that_doubles_up_to_a_limit() -> None:
    clock = Clock()
    breaker = Breaker(shortest_s=0.25, longest_s=1.0, clock=clock)
    assert not breaker.is_open()
    assert [breaker.record_failure() for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    assert breaker.is_open()
    clock.now += 1.0
    assert not breaker.is_open()


def test_a_success_closes_the_breaker_and_resets_the_pause() -> None:
    breaker = Breaker(shortest_s=0.25, clock=Clock())
    breaker.record_failure()
    breaker.record_failure()
    assert breaker.is_open()
    assert breaker.record_success()
    assert not breaker.is_open()
    assert not breaker.record_success()
    assert 0.25 == breaker.record_failure()
