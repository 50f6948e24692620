"""Which offsets a set of records stands for."""

from worker.offsets import first_offsets, next_offsets
from worker.record import Record

RECORDS = [Record("t", partition, offset, None, None) for partition, offset in ((0, 7), (1, 3), (0, 8), (1, 9), (0, 6))]


def test_the_offset_after_the_last_record_of_each_partition_is_committed() -> None:
    assert {("t", 0): 9, ("t", 1): 10} == next_offsets(RECORDS)


def test_reading_again_begins_at_the_first_record_of_each_partition() -> None:
    assert {("t", 0): 6, ("t", 1): 3} == first_offsets(RECORDS)


def test_no_records_stand_for_no_offsets() -> None:
    assert (next_offsets([]), first_offsets([])) == ({}, {})
