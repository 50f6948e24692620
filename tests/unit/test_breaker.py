"""When the cache is asked, and when it is left alone."""

from worker.cache import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_at_a_failure_for_a_while_that_doubles_up_to_a_limit() -> None:
    clock = Clock()
    breaker = Breaker(shortest_s=0.25, longest_s=1.0, clock=clock)
    assert not breaker.is_open()
    assert [breaker.failed() for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    assert breaker.is_open()
    clock.now += 1.0
    assert not breaker.is_open()


def test_a_success_closes_it_and_forgets_the_failures() -> None:
    breaker = Breaker(shortest_s=0.25, clock=Clock())
    breaker.failed()
    breaker.failed()
    assert breaker.is_open()
    assert breaker.succeeded()
    assert not breaker.is_open()
    assert not breaker.succeeded()
    assert 0.25 == breaker.failed()
