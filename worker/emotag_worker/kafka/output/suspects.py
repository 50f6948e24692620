"""Find the records that the brokers refuse, among the records that they report.

Brokers refuse a produce batch as a whole. The client reports one error for all of its records, unless the broker names
at least two bad ones. Only a record that was refused alone is proven to be bad; the others are suspects, which the next
attempt writes in smaller produce batches. Pure: no clock, no client.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Set

from emotag_worker.wire.record import Outgoing, Refusal

PARTS = 16
"""Produce batches that the next attempt makes of the suspects. It ends with the first one that is refused, so that an
attempt divides the suspects by this number."""

FEW = 64
"""Suspects that are not divided into parts, but written one by one: this costs less than another attempt."""


class FlushPlan:
    """Where to flush in the next attempt to write some records.

    Points stay for the next attempts: records may fit only apart, and would be refused again if they were joined. Once
    a bad record is found, the points before it are dropped, so that many bad records do not lead to as many flushes.
    If records before it are refused again, they fit only apart, and their points stay for good.
    """

    def __init__(self) -> None:
        self._fixed: set[int] = set()
        self._trial: set[int] = set()
        self._found = -1

    def refine(self, refused: Collection[int], guilty: Set[int], records: Mapping[int, Outgoing]) -> bool:
        """Divide the suspects of an attempt.

        Args:
            refused: the records that the brokers refused, by their index.
            guilty: those that are certainly bad.
            records: by index, those that are suspects or more.

        Returns:
            False if the next attempt would be the same as the last.
        """
        if proven := guilty & set(refused):
            self._found = max(self._found, *proven)
            self._trial = {point for point in self._trial if point >= self._found}
        before = len(self._fixed | self._trial)
        suspects = set(refused) - guilty
        points = self._fixed if max(suspects, default=0) <= self._found else self._trial
        points |= plan_flushes(suspects, records)
        return bool(guilty) or len(self._fixed | self._trial) > before

    def locate(self, indices: Sequence[int]) -> Set[int]:
        """Return the positions in *indices* after which to flush; ascending indices of the records to write."""
        positions = {bisect_right(indices, point) - 1 for point in self._fixed | self._trial}
        return positions - {-1}


def find_guilty(
    refused: Mapping[int, Refusal],
    records: Mapping[int, Outgoing],
    *,
    now_ms: int,
    requires_key: Callable[[str], bool] = lambda topic: False,
) -> dict[int, Refusal]:
    """Return the refused records that are certainly bad, by their index.

    Args:
        refused: as of `RecordsRefused`.
        records: by index, those that are not written; those that would be refused for the same reason are bad, too.
        now_ms: the current time, in milliseconds since 1970.
        requires_key: returns True if a topic certainly refuses every record without a key.
    """
    together: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, refusal in refused.items():
        together[refusal.topic, refusal.partition].append(index)
    guilty = {indices[0]: refused[indices[0]] for indices in together.values() if len(indices) == 1}
    for proven, refusal in list(guilty.items()):
        if not _is_shared(records[proven], refusal, requires_key):
            continue
        guilty |= {
            index: refusal
            for index, record in records.items()
            if index not in guilty and _is_as_bad(record, records[proven], refusal, now_ms)
        }
    return guilty


def plan_flushes(suspects: Collection[int], records: Mapping[int, Outgoing]) -> Set[int]:
    """Return the indices after which to flush, so that each suspect shares a produce batch with few others.

    The most suspicious records are alone: often the first attempt finds the bad one.
    """
    indices = sorted(suspects)
    if not indices:
        return frozenset()
    alone = _find_outliers(indices, records)
    size = 1 if len(indices) <= FEW else -(-len(indices) // PARTS)
    parts = [indices[begin : begin + size] for begin in range(0, len(indices), size)]
    groups = [(index, index) for index in alone] + [(part[0], part[-1]) for part in parts]
    return {index for first, last in groups for index in (first - 1, last) if index >= 0}


def _find_outliers(indices: Sequence[int], records: Mapping[int, Outgoing]) -> Set[int]:
    """Return those with the first and the last timestamp, the largest value, and the first one without a key."""

    def read_timestamp(index: int) -> int:
        return records[index].timestamp_ms or 0

    return {
        min(indices, key=read_timestamp),
        max(indices, key=read_timestamp),
        max(indices, key=lambda index: len(records[index].value or b"")),
        min(indices, key=lambda index: records[index].key is not None),
    }


def _is_shared(proven: Outgoing, refusal: Refusal, requires_key: Callable[[str], bool]) -> bool:
    """Return True if the brokers refuse *proven* for a property that shows in other records, too.

    Kafka limits how far a timestamp is before or after the broker's clock. For a record that is invalid it names no
    cause: only a topic that requires a key shows that the key is missing, and not something in the value.
    """
    if refusal.cause == "record":
        return proven.key is None and requires_key(proven.topic)
    return refusal.cause == "timestamp"


def _is_as_bad(record: Outgoing, proven: Outgoing, refusal: Refusal, now_ms: int) -> bool:
    """Return True if the brokers would refuse *record* because they refuse *proven* for a shared property."""
    if record.topic != proven.topic:
        return False
    if refusal.cause == "record":
        return record.key is None
    ours, theirs = record.timestamp_ms, proven.timestamp_ms
    if ours is None or theirs is None:
        return False
    return ours >= theirs if theirs > now_ms else ours <= theirs
