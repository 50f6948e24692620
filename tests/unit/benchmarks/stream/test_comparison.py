"""A run consists of whole batches, and each competitor has a module."""

from benchmarks.stream.comparison import SHORT, STEP


def test_a_run_is_whole_batches() -> None:
    assert 0 == SHORT.messages(1_000.0) % STEP
    assert SHORT.least == SHORT.messages(1.0)
