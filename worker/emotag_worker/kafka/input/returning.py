"""A worker that returns while the group still waits for its last run, and how long it tries to join."""

import time

TRY_S = 1.0
"""Pause between two tries. During it the worker has no partitions, so nothing waits."""

RELEASE_S = 70.0
"""Time after which the identity counts as another worker's. Above 60 s, the longest session that brokers allow by
default (`group.consumer.max.session.timeout.ms`)."""

ACCEPTED_S = 10.0
"""Time after which a try that was not refused counts as a success: the client reports no assignment if no partition is
left for this worker. Brokers refuse at once, so this is far above the time between two refusals."""


class Return:
    """The time since the group first refused this worker because it still has a member with the same identity.

    Under KIP-848, brokers refuse a static member whose last run was killed until its session ends (45 s by default).
    """

    def __init__(self) -> None:
        self._refused_at: float | None = None
        self._tried_at: float | None = None

    @property
    def is_waiting(self) -> bool:
        """This worker tried to join a moment ago, and the group has not assigned partitions since."""
        tried_at = self._tried_at
        return tried_at is not None and time.monotonic() - tried_at < ACCEPTED_S

    def note_try(self) -> None:
        """A client begins to join the group."""
        self._tried_at = time.monotonic()

    def note_success(self) -> None:
        """The group assigned partitions."""
        self._refused_at = self._tried_at = None

    def await_next_try(self) -> bool:
        """Pause before the next try; return False if the identity counts as another worker's."""
        now = time.monotonic()
        self._refused_at = self._refused_at or now
        if now - self._refused_at > RELEASE_S:
            return False
        time.sleep(TRY_S)
        return True
