"""A limit on dead letters before the first result: beyond it, the settings are at fault and not the records."""

from collections import Counter
from collections.abc import Callable, Sequence

from emotag_worker.errors import OutOfScope, OutputRefused, TooManyDeadLetters
from emotag_worker.wire.record import Answer


class RefusalLimit:
    """Stops a worker whose settings do not fit its topics, and never one that meets the bad records of a producer.

    With wrong settings, no record has a result. So the worker counts dead letters only until its first result. If they
    reach the limit, it samples the topic: if one record elsewhere can be read, the settings of the input are right, and
    only results that the output topic refuses count from then on. Without the sample, a worker that starts inside a
    burst of bad records would stop at each start.

    A dead letter for a text out of the model's scope does not count: the worker could read the record.

    Args:
        most: the number of dead letters since the start; 0 is no limit.
        can_read: returns True if the settings can read any of a sample of the topic's records. If it has, it is not
            called again.
    """

    def __init__(self, *, most: int, can_read: Callable[[], bool]) -> None:
        self._most = most
        self._can_read = can_read
        self._has_result = most == 0
        self._is_readable = False
        self._refused = 0
        self._unreadable = 0

    def admit(self, answers: Sequence[Answer]) -> None:
        """Check a batch before it is written.

        Raises:
            TooManyDeadLetters: with this batch, there are too many; do not write the batch.
        """
        if self._has_result:
            return
        results, refused, unreadable = _count(answers)
        if results:
            return
        if self._refused + refused >= self._most:
            raise TooManyDeadLetters(self._refused + refused, refused=True)
        if not self._is_readable and self._unreadable + unreadable >= self._most:
            self._is_readable = self._can_read()
            if not self._is_readable:
                raise TooManyDeadLetters(self._unreadable + unreadable)

    def note(self, answers: Sequence[Answer]) -> None:
        """Remember a batch that was written. A batch that is aborted comes again, and must not count twice."""
        if self._has_result:
            return
        results, refused, unreadable = _count(answers)
        self._has_result = results > 0
        self._refused += refused
        self._unreadable += unreadable


def _count(answers: Sequence[Answer]) -> tuple[int, int, int]:
    """Return the number of results, of results that the output topic refuses, and of records that cannot be read."""
    reasons = Counter(answer.reason for answer in answers if answer.reason)
    refused = reasons[OutputRefused.__name__]
    return (
        sum(answer.source != "" for answer in answers),
        refused,
        reasons.total() - refused - reasons[OutOfScope.__name__],
    )
