"""Where to continue if the next record is not there."""

import pytest

from emotag_worker.kafka.input.gap import Gap, find_gap


@pytest.mark.parametrize(
    ("position", "committed", "diverged", "expected"),
    [
        (3, 3, None, Gap("deleted", 3, 10, 7)),
        (3, None, None, Gap("deleted", 3, 10, 7)),
        (25, 24, None, Gap("truncated", 25, 20, 5)),
        (18, 18, 15, Gap("truncated", 18, 15, 3)),
        (18, 18, 5, Gap("truncated", 18, 10, 8)),
        (25, None, None, Gap("replaced", 25, 10, 0)),
        (10, 10, None, None),
        (20, 20, None, None),
        (14, 12, 15, None),  # the first record of an aborted batch, before the log differs
    ],
)
def test_no_record_that_exists_is_skipped(
    position: int, committed: int | None, diverged: int | None, expected: Gap | None
) -> None:
    """The partition has the offsets 10 to 19."""
    assert expected == find_gap(position, committed=committed, beginning=10, end=20, diverged=diverged)


def test_a_gap_is_described_by_its_cause() -> None:
    assert "deleted before they were read" in Gap("deleted", 3, 10, 7).describe("texts", 0)
    assert "offsets 3 to 9 of texts-0" in Gap("deleted", 3, 10, 7).describe("texts", 0)
    assert "truncated" in Gap("truncated", 25, 20, 5).describe("texts", 0)
    assert "created again" in Gap("replaced", 25, 10, 0).describe("texts", 0)
