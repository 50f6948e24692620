"""A run consists of whole batches, and each competitor has a module."""

from benchmarks.stream.comparison import SHORT


def test_a_run_is_whole_batches() -> None:
    assert 0 == SHORT.messages(1_000.0) % 256
    assert SHORT.least == SHORT.messages(1.0)
