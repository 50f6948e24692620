"""How many dead letters are too many."""

import pytest

from worker.errors import TooManyDeadLetters
from worker.refusals import RefusalLimit


def write(limit: RefusalLimit, records: int, dead: int) -> None:
    """A step that nothing goes wrong with."""
    limit.admit(records, dead)
    limit.note(records, dead)


def test_nothing_is_too_much_before_the_window_is_full() -> None:
    limit = RefusalLimit(most=0.5, window=100)
    write(limit, 99, 99)
    with pytest.raises(TooManyDeadLetters, match="100 of the last 100"):
        limit.admit(1, 1)


def test_the_share_is_that_of_the_last_records_alone() -> None:
    """A thousand good ones of yesterday excuse nothing."""
    limit = RefusalLimit(most=0.5, window=100)
    for _ in range(100):
        write(limit, 10, 0)
    write(limit, 50, 50)
    with pytest.raises(TooManyDeadLetters):
        limit.admit(10, 10)


def test_a_step_larger_than_the_window_counts_whole() -> None:
    limit = RefusalLimit(most=0.5, window=100)
    write(limit, 4096, 2048)
    with pytest.raises(TooManyDeadLetters, match="2049 of the last 4096"):
        limit.admit(4096, 2049)


def test_one_is_no_limit() -> None:
    limit = RefusalLimit(most=1.0, window=10)
    for _ in range(10):
        write(limit, 10, 10)


def test_a_step_that_is_aborted_and_comes_again_counts_once() -> None:
    limit = RefusalLimit(most=0.5, window=100)
    write(limit, 90, 10)
    for _ in range(5):
        limit.admit(30, 30)
    write(limit, 30, 30)
