"""The lag of a group as `emotag lag` prints it."""

import pytest

from emotag_worker.kafka.lag import render_lines, render_objects
from emotag_worker.kafka.offsets import PartitionOffsets


def test_objects_and_lines_end_with_the_sum() -> None:
    lags = {("t", 0): PartitionOffsets(0, 7, 10), ("t", 1): PartitionOffsets(0, None, 5)}
    objects = render_objects(lags, topic="t", group_id="g")
    assert {"topic": "t", "partition": 0, "end": 10, "committed": 7, "lag": 3} == objects[0]
    assert {"topic": "t", "partition": 1, "end": 5, "committed": None, "lag": 5} == objects[1]
    assert {"topic": "t", "group": "g", "lag": 8, "uncommitted_partitions": 1} == objects[-1]
    lines = render_lines(lags, topic="t", group_id="g")
    assert ["1", "5", "–", "5"] == lines[3].split()
    assert ["all", "8"] == lines[4].split()
    assert lines[5].startswith("–: the group has committed nothing in this partition yet")
    assert 6 == len(lines)


@pytest.mark.parametrize(("lag", "notes"), [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_lag_that_markers_of_transactions_may_explain_has_a_note(lag: int, notes: int) -> None:
    lags = {("t", 0): PartitionOffsets(0, 10 - lag, 10), ("t", 1): PartitionOffsets(0, None, 1)}
    lines = render_lines(lags, topic="t", group_id="g")
    assert notes == sum("transactions" in line for line in lines)
