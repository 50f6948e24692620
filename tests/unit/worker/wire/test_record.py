"""The offsets of several records."""

from emotag_worker.wire.record import Record, first_offsets, next_offsets, size_of

RECORDS = [Record("t", partition, offset, None, None) for partition, offset in ((0, 7), (1, 3), (0, 8), (1, 9), (0, 6))]


def test_the_offset_after_the_last_record_of_each_partition_is_committed() -> None:
    assert {("t", 0): 9, ("t", 1): 10} == next_offsets(RECORDS)


def test_reading_again_begins_at_the_first_record_of_each_partition() -> None:
    assert {("t", 0): 6, ("t", 1): 3} == first_offsets(RECORDS)


def test_no_records_stand_for_no_offsets() -> None:
    assert (next_offsets([]), first_offsets([])) == ({}, {})


def test_the_size_of_a_record_is_that_of_its_value_its_key_and_its_headers() -> None:
    """Headers that the client cannot read count as none."""
    headers = (("name", b"12345"), ("no value", None))
    assert 3 + 2 + 9 + 8 == size_of(Record("texts", 0, 1, b"ke", b"val", headers))
    assert 0 == size_of(Record("texts", 0, 1, None, None, None))
