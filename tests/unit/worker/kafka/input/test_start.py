"""Where a partition without a committed offset begins."""

import pytest

from emotag_worker.errors import NoCommittedOffsets
from emotag_worker.kafka.input.start import START_NOTE, choose_starts
from emotag_worker.kafka.offsets import Committed
from tests.unit.worker.kafka.scripted import TOPIC, ChosenOffsets, all_of

TIME = "2026-11-30T06:00:00Z"
USED, BEGUN = Committed(12), Committed(20, f"{START_NOTE}2")


@pytest.mark.parametrize(
    ("start", "other", "offset"),
    [
        ("earliest", None, 10),
        ("latest", None, 20),
        (TIME, None, 15),
        # The group has results: the partition was added later, and all of it is new.
        ("earliest", USED, 10),
        ("latest", USED, 10),
        (TIME, USED, 10),
        ("committed", USED, 10),
        # Another worker of the same new group has chosen its start a moment ago.
        ("latest", BEGUN, 20),
        (TIME, BEGUN, 15),
        # The group began with another number of partitions: this one is newer, although the other has no record yet.
        ("latest", Committed(20, f"{START_NOTE}0"), 10),
    ],
)
def test_a_new_group_begins_as_chosen_and_a_new_partition_at_its_beginning(
    start: str, other: Committed | None, offset: int
) -> None:
    brokers = ChosenOffsets({} if other is None else {1: other})
    starts = choose_starts([(TOPIC, 0)], start, brokers.as_reader())
    assert ({(TOPIC, 0): offset}, other is None) == (starts.offsets, starts.is_new)
    assert 20 - offset == starts.ahead


def test_an_offset_that_was_committed_meanwhile_counts() -> None:
    """For example by the first try, whose answer was lost."""
    brokers = ChosenOffsets({0: Committed(13, f"{START_NOTE}2")})
    assert {(TOPIC, 0): 13, (TOPIC, 1): 20} == choose_starts(all_of(2), "latest", brokers.as_reader()).offsets


def test_with_committed_a_group_without_any_offset_is_refused() -> None:
    with pytest.raises(NoCommittedOffsets, match="emotag offsets reset"):
        choose_starts(all_of(2), "committed", ChosenOffsets({}).as_reader())


def test_workers_that_start_together_begin_alike_also_after_the_first_results() -> None:
    """Another worker has committed results in partition 1, and its start in partition 2."""
    brokers = ChosenOffsets({1: USED, 2: Committed(20, f"{START_NOTE}3")}, partitions=3)
    starts = choose_starts([(TOPIC, 0)], "latest", brokers.as_reader())
    assert ({(TOPIC, 0): 20}, {(TOPIC, 0): f"{START_NOTE}3"}) == (starts.offsets, starts.notes)


def test_a_partition_that_was_added_is_not_noted_as_one_that_the_group_began_with() -> None:
    brokers = ChosenOffsets({0: Committed(20, f"{START_NOTE}1"), 1: USED})
    starts = choose_starts([(TOPIC, 2)], "latest", brokers.as_reader())
    assert ({(TOPIC, 2): 10}, {(TOPIC, 2): ""}) == (starts.offsets, starts.notes)


def test_a_bounded_run_begins_at_its_time_whatever_other_workers_have_committed() -> None:
    """From the beginning, it would tag records before its range."""
    starts = choose_starts([(TOPIC, 0)], TIME, ChosenOffsets({1: USED}).as_reader(), bounded=True)
    assert {(TOPIC, 0): 15} == starts.offsets
