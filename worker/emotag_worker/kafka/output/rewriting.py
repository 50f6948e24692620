"""Write records again and again until the brokers refuse none of them: bad ones are found, and replaced."""

import time
from collections.abc import Callable, Mapping, Sequence

from emotag_worker.errors import BatchAborted, RecordsRefused
from emotag_worker.protocols import Group, Sink
from emotag_worker.wire.record import Outgoing, Partition, Refusal

from .suspects import FlushPlan, find_guilty

PATIENCE_S = 120.0
"""Longest time to look for bad records. The group removes a member that does not poll for five minutes."""

MAX_FUTILE = 8
"""Attempts in a row that may show nothing new. Each other attempt finds a bad record, or makes produce batches smaller,
so that their number has a limit."""

RETRIES = 2
"""Aborts after a refusal that do not count. librdkafka gives the refused records sequence numbers, which the brokers
miss in the next transaction. So this is aborted, too. Only then does the client begin a new count."""

Replace = Callable[[Mapping[int, Refusal]], Mapping[int, Outgoing | None]]
"""Returns what to write instead of each bad record, by index: None if nothing."""


class Rewriter:
    """Writes through a sink.

    Args:
        mark_alive: called before each attempt.
        requires_key: as for `find_guilty`.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        mark_alive: Callable[[], None] = lambda: None,
        requires_key: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self._sink = sink
        self._mark_alive = mark_alive
        self._requires_key = requires_key
        self._retries = 0

    def write(
        self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: Group, *, replace: Replace
    ) -> None:
        """Write and commit records.

        Args:
            replace: called with the bad records of an attempt, by their index in *records*.

        Raises:
            BatchAborted: as for `Sink.write`; also if the bad records are not found in time.
            StopWorker: as for `Sink.write`.
        """
        left = dict(enumerate(records))
        plan = FlushPlan()
        give_up_at, futile = time.monotonic() + PATIENCE_S, 0
        while (error := self._try(left, offsets, group, plan)) is not None:
            indices = list(left)
            refused = {indices[at]: refusal for at, refusal in error.refused.items()}
            left = {indices[at]: left[indices[at]] for at in error.unwritten}
            # 1. Replace the records that are certainly bad.
            now_ms = round(time.time() * 1000)
            guilty = find_guilty(refused, left, now_ms=now_ms, requires_key=self._requires_key)
            futile = 0 if plan.refine(refused, guilty.keys(), left) else futile + 1
            for index, replacement in (replace(guilty) if guilty else {}).items():
                if replacement is None:
                    del left[index]
                else:
                    left[index] = replacement
            # 2. Write again what is not written, the suspects in small produce batches.
            if futile >= MAX_FUTILE or time.monotonic() >= give_up_at:
                raise BatchAborted(f"{error}; it takes too long to find them all")

    def _try(
        self, records: Mapping[int, Outgoing], offsets: Mapping[Partition, int], group: Group, plan: FlushPlan
    ) -> RecordsRefused | None:
        """Write once; return what the brokers refuse, if they do."""
        flush_after = plan.locate(list(records))
        while True:
            self._mark_alive()
            try:
                self._sink.write(list(records.values()), offsets, group, flush_after=flush_after)
            except RecordsRefused as error:
                self._retries = RETRIES
                return error
            except BatchAborted:
                # Without transactions, the records of an aborted batch are written, and must not be written again.
                if not self._retries or not self._sink.transactional:
                    raise
                self._retries -= 1
            else:
                self._retries = 0
                return None
