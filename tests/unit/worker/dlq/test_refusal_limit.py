"""The number of dead letters before the first result that stops the worker."""

import pytest

from emotag_worker.dlq.refusal_limit import RefusalLimit
from emotag_worker.errors import TooManyDeadLetters
from emotag_worker.wire.record import Answer, Record


def limit_of(most: int, *, can_read: bool = False) -> RefusalLimit:
    return RefusalLimit(most=most, can_read=lambda: can_read)


def answers(results: int, dead: int, *, reason: str = "NotJson") -> list[Answer]:
    record = Record("texts", 0, 0, None, b"")
    return [Answer(record, None, source="computed")] * results + [Answer(record, None, reason=reason)] * dead


def write(limit: RefusalLimit, results: int, dead: int) -> None:
    """A batch that nothing goes wrong with."""
    limit.admit(answers(results, dead))
    limit.note(answers(results, dead))


def test_a_worker_without_any_result_stops_at_the_limit() -> None:
    limit = limit_of(100)
    write(limit, 0, 99)
    with pytest.raises(TooManyDeadLetters, match="first 100 records"):
        limit.admit(answers(0, 1))


def test_after_one_result_no_burst_stops_the_worker() -> None:
    """The settings can read records, so the producer of the burst is at fault."""
    limit = limit_of(100)
    write(limit, 1, 50)
    for _ in range(10):
        write(limit, 0, 1000)


def test_a_batch_with_a_result_is_admitted_whatever_else_it_has() -> None:
    write(limit_of(100), 1, 4095)


def test_a_worker_that_starts_inside_a_burst_continues_if_other_records_can_be_read() -> None:
    asked: list[bool] = []

    def can_read() -> bool:
        asked.append(True)
        return True

    limit = RefusalLimit(most=100, can_read=can_read)
    for _ in range(10):
        write(limit, 0, 1000)
    assert 1 == len(asked)


def test_the_topic_is_not_sampled_before_the_limit() -> None:
    """The sample costs a second, and reads from every partition."""
    limit = RefusalLimit(most=100, can_read=lambda: pytest.fail("sampled"))
    write(limit, 0, 99)


def test_zero_is_no_limit() -> None:
    write(limit_of(0), 0, 10_000)


def test_records_without_a_result_or_a_dead_letter_do_not_count() -> None:
    """A tombstone that is forwarded or skipped proves nothing about the settings."""
    limit = limit_of(100)
    limit.note([Answer(Record("texts", 0, 0, b"k", None), None)] * 100)
    write(limit, 0, 99)
    with pytest.raises(TooManyDeadLetters):
        limit.admit(answers(0, 1))


def test_a_batch_that_is_aborted_and_comes_again_counts_once() -> None:
    limit = limit_of(100)
    for _ in range(5):
        limit.admit(answers(0, 60))
    write(limit, 0, 60)


def test_a_topic_in_another_language_does_not_stop_the_worker() -> None:
    """The worker could read these records. Records that it cannot read still count."""
    limit = RefusalLimit(most=100, can_read=lambda: False)
    for _ in range(10):
        limit.admit(answers(0, 1000, reason="OutOfScope"))
        limit.note(answers(0, 1000, reason="OutOfScope"))
    write(limit, 0, 99)
    with pytest.raises(TooManyDeadLetters, match="first 100 records"):
        limit.admit(answers(0, 1))


def test_an_output_topic_that_refuses_every_result_stops_the_worker_though_its_records_can_be_read() -> None:
    limit = limit_of(100, can_read=True)
    write(limit, 0, 500)
    limit.admit(answers(0, 99, reason="OutputRefused"))
    with pytest.raises(TooManyDeadLetters, match="the output topic refuses the results of the first 100 records"):
        limit.admit(answers(0, 100, reason="OutputRefused"))
