"""Which of the reported records is the bad one."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from emotag_worker.kafka.output.suspects import FEW, PARTS, FlushPlan, find_guilty, plan_flushes
from emotag_worker.wire.record import Outgoing, Refusal

NOW = 1_000_000
SIZE = Refusal("emotions", 0, "size", "too large")
TIME = Refusal("emotions", 0, "timestamp", "bad time")
KEY = Refusal("emotions", 0, "record", "no key")
POLICY = Refusal("emotions", 0, "policy", "no")


def outgoing(
    *, topic: str = "emotions", key: bytes | None = b"k", value: bytes = b"v", at: int | None = NOW
) -> Outgoing:
    return Outgoing(topic, key, value, (), at)


def by_index(records: Sequence[Outgoing]) -> dict[int, Outgoing]:
    return dict(enumerate(records))


def is_emotions(topic: str) -> bool:
    return topic == "emotions"


def test_records_that_were_refused_together_are_suspects_only() -> None:
    records = [outgoing() for _ in range(4)]
    assert {} == find_guilty({1: SIZE, 2: SIZE}, by_index(records), now_ms=NOW)
    alone = Refusal("emotions", 1, "size", "too large")
    assert {3: alone} == find_guilty({1: SIZE, 2: SIZE, 3: alone}, by_index(records), now_ms=NOW)


@pytest.mark.parametrize(
    ("at", "expected"), [(NOW + 10, {1, 2, 4}), (NOW - 10, {1, 3})], ids=["after the clock", "before the clock"]
)
def test_a_bad_timestamp_is_found_in_all_records_beyond_it(at: int, expected: set[int]) -> None:
    times = [NOW, at, NOW + 10, NOW - 11, NOW + 20, None]
    records = [outgoing(at=time) for time in times] + [outgoing(topic="dead", at=at)]
    assert expected == find_guilty({1: TIME}, by_index(records), now_ms=NOW).keys()


def test_a_missing_key_is_found_in_all_records_without_a_key() -> None:
    records = [outgoing(), outgoing(key=None), outgoing(key=None), outgoing(topic="dead", key=None)]
    assert {1: KEY, 2: KEY} == find_guilty({1: KEY}, by_index(records), now_ms=NOW, requires_key=is_emotions)
    assert {0: KEY} == find_guilty({0: KEY}, by_index(records), now_ms=NOW, requires_key=is_emotions)


@pytest.mark.parametrize("refusal", [KEY, POLICY, SIZE])
def test_a_missing_key_is_only_bad_if_the_topic_requires_one(refusal: Refusal) -> None:
    """A validator of the brokers or a policy of the operators may refuse something in the value."""
    records = by_index([outgoing(key=None), outgoing(key=None)])
    assert {1: refusal} == find_guilty({1: refusal}, records, now_ms=NOW)
    if refusal is not KEY:
        assert {1: refusal} == find_guilty({1: refusal}, records, now_ms=NOW, requires_key=is_emotions)


def test_a_large_record_accuses_no_other() -> None:
    assert {1: SIZE} == find_guilty({1: SIZE}, by_index([outgoing(value=b"v" * 9)] * 3), now_ms=NOW)


def test_the_most_suspicious_records_are_alone() -> None:
    records = [outgoing(at=NOW + number % 7) for number in range(100)]
    records[30] = outgoing(key=None)
    records[40] = outgoing(value=b"large")
    records[50] = outgoing(at=NOW - 1)
    records[60] = outgoing(at=NOW + 99)
    flushes = plan_flushes(range(100), by_index(records))
    assert {29, 30, 39, 40, 49, 50, 59, 60} <= flushes


@pytest.mark.parametrize("count", [1, 2, PARTS, PARTS + 1, 1000])
def test_suspects_are_divided_into_parts(count: int) -> None:
    """The largest part is small enough that a few attempts find one record."""
    flushes = sorted(plan_flushes(range(5, 5 + count), by_index([outgoing()] * (count + 10))))
    assert (4, 4 + count) == (flushes[0], flushes[-1])
    assert max(later - earlier for earlier, later in pairwise(flushes)) <= -(-count // PARTS)


def test_without_suspects_there_is_nothing_to_flush() -> None:
    assert not plan_flushes([], {})


def test_few_suspects_are_written_one_by_one() -> None:
    assert set(range(FEW)) == plan_flushes(range(FEW), by_index([outgoing()] * FEW))


def test_flushes_stay_for_the_next_attempts_until_a_bad_record_is_found() -> None:
    plan, records = FlushPlan(), by_index([outgoing()] * 1000)
    assert plan.refine(range(1000), set(), records)
    first = plan.locate(range(1000))
    assert plan.refine(range(500, 510), set(), records)
    assert first | set(range(499, 510)) == plan.locate(range(1000))
    assert plan.refine([505], {505}, records)
    assert min(plan.locate(range(1000))) == 505


def test_flushes_between_records_that_are_refused_again_stay_for_good() -> None:
    plan, records = FlushPlan(), by_index([outgoing()] * 20)
    plan.refine([9], {9}, records)
    plan.refine(range(5), set(), records)
    plan.refine([15], {15}, records)
    assert {0, 1, 2, 3, 4} == plan.locate(range(20))
    assert not plan.refine(range(5), set(), records)


def test_flushes_are_after_the_last_record_that_is_left_before_them() -> None:
    plan = FlushPlan()
    plan.refine(range(4, 6), set(), by_index([outgoing()] * 9))
    assert {3, 4, 5} == plan.locate(range(9))
    assert {0, 1} == plan.locate([2, 5, 8])
    assert set() == plan.locate([7])
