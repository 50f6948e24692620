"""The offsets of a group as `emotag offsets` shows them."""

import pytest

from emotag_worker.kafka.offset_reset import describe_plan, explain_state, render_lines, render_objects
from emotag_worker.kafka.offsets import PartitionOffsets
from emotag_worker.wire.record import Partition

FOUND = [
    PartitionOffsets(10, 14, 20),
    PartitionOffsets(10, None, 20),
    PartitionOffsets(10, 3, 20),
    PartitionOffsets(10, 25, 20),
]


def number(found: list[PartitionOffsets]) -> dict[Partition, PartitionOffsets]:
    """The offsets by partition."""
    return {("texts", partition): at for partition, at in enumerate(found)}


@pytest.mark.parametrize(
    ("at", "lag", "state"),
    [
        (FOUND[0], 6, ""),
        (FOUND[1], 10, "none committed"),
        (FOUND[2], 10, "7 deleted unread"),
        (FOUND[3], 0, "after the end: truncated"),
    ],
)
def test_a_position_that_does_not_exist_is_explained(at: PartitionOffsets, lag: int, state: str) -> None:
    assert (lag, state) == (at.lag, explain_state(at))


def test_a_plan_counts_what_exists() -> None:
    """From 14 to 10 four offsets are read again; the deleted ones are not; and the end skips ten."""
    assert "4 offsets are read again, 10 are skipped" == describe_plan(number(FOUND[:3]), {0: 10, 1: 20, 2: 10})


def test_the_offsets_after_a_reset_are_shown_only_for_a_reset() -> None:
    assert "reset to" not in render_lines(number(FOUND), {}, "texts")[1]
    assert render_lines(number(FOUND[:1]), {0: 17}, "texts")[2].endswith("17")
    assert "reset_to" not in render_objects(number(FOUND), {}, "texts")[0]
    assert 17 == render_objects(number(FOUND[:1]), {0: 17}, "texts")[0]["reset_to"]
