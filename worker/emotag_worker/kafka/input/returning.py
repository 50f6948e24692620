"""A worker that returns while the group still waits for its last run, and how long it tries to join."""

import time

TRY_S = 1.0
"""Pause between two tries. During it the worker has no partitions, so nothing waits."""

RELEASE_S = 70.0
"""Time after which the identity counts as another worker's. Above 60 s, the longest session that brokers allow by
default (`group.consumer.max.session.timeout.ms`)."""


class Return:
    """The time since the group first refused this worker because it still has a member with the same identity.

    Under KIP-848, brokers refuse a static member whose last run was killed until its session ends (45 s by default).
    """

    def __init__(self) -> None:
        self._refused_at: float | None = None

    def note_success(self) -> None:
        """The group assigned partitions."""
        self._refused_at = None

    def await_next_try(self) -> bool:
        """Pause before the next try; return False if the identity counts as another worker's."""
        now = time.monotonic()
        self._refused_at = self._refused_at or now
        if now - self._refused_at > RELEASE_S:
            return False
        time.sleep(TRY_S)
        return True
