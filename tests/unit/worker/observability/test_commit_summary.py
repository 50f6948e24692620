"""The summary of the commits of ten seconds."""

from typing import Any

from emotag_worker.batch import BatchCounts
from emotag_worker.observability.commit_summary import CommitSummary
from tests.unit.worker.observability.test_instruments import batch, record


def of(records: int, seconds: float, **changes: Any) -> BatchCounts:
    return batch([record(n, None) for n in range(records)], seconds=seconds, **changes)


def test_nothing_is_summarized_before_the_period_is_over_or_without_commits() -> None:
    commits = CommitSummary()
    assert commits.take(50.0) is None
    assert commits.take(50.0, ended=True) is None
    commits.add([of(1, 0.1)], 50.0)
    assert commits.take(59.9) is None
    assert commits.take(60.0) is not None
    assert commits.take(70.0) is None


def test_a_summary_has_the_sums_of_its_period() -> None:
    commits = CommitSummary()
    commits.add([of(3, 0.1, sources={"computed": 1, "cache": 2}), of(1, 0.1, sources={"repeat": 1})], 50.0)
    commits.add([of(2, 0.1, sources={"cache": 1}, dead_letters={"NoText": 1})], 55.0)
    summary = commits.take(60.0)
    assert summary is not None
    assert {
        "records": 6,
        "results": 5,
        "cache_hits": 3,
        "repeats": 1,
        "dead_letters": {"NoText": 1},
        "commits": 2,
        "period_s": 10.0,
    }.items() <= summary.items()


def test_latencies_are_quantiles_over_records() -> None:
    """A batch of many records counts for all of them."""
    commits = CommitSummary()
    commits.add([of(1, 0.9), of(98, 0.2), of(1, 0.1)], 50.0)
    summary = commits.take(51.0, ended=True)
    assert summary is not None
    assert (200.0, 200.0) == (summary["p50_ms"], summary["p99_ms"])
    commits.add([of(1, 0.9), of(50, 0.2)], 52.0)
    summary = commits.take(53.0, ended=True)
    assert summary is not None
    assert (200.0, 900.0) == (summary["p50_ms"], summary["p99_ms"])
