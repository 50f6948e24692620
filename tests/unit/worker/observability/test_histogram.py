"""A histogram of batches exposes the same samples as the client library's own histogram."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.samples import Sample

from emotag_model.reference_stats import SCORE_EDGES
from emotag_worker.observability.histogram import EXEMPLAR_CANDIDATES, BatchHistogram


def samples(histogram: BatchHistogram) -> Iterator[Sample]:
    for family in histogram.collect():
        yield from family.samples


def buckets(histogram: BatchHistogram, **labels: str) -> dict[str, float]:
    return {
        sample.labels["le"]: sample.value
        for sample in samples(histogram)
        if sample.name.endswith("_bucket") and labels.items() <= sample.labels.items()
    }


def exemplars(histogram: BatchHistogram) -> dict[str, tuple[Mapping[str, str], float]]:
    return {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for sample in samples(histogram)
        if sample.exemplar
    }


def test_it_exposes_what_the_librarys_own_histogram_exposes() -> None:
    values = [0.0, 0.01, 0.0100001, 0.5, 0.95]
    registry, ours = CollectorRegistry(), CollectorRegistry()
    theirs = Histogram("score", "Text.", buckets=SCORE_EDGES, registry=registry)
    for each in values:
        theirs.observe(each)
    histogram = BatchHistogram("score", "Text.", SCORE_EDGES)
    histogram.add(np.array(values)[:, None])
    ours.register(histogram)
    expected = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert expected == generate_latest(ours).decode().splitlines()


def test_each_value_of_a_label_has_its_own_column() -> None:
    histogram = BatchHistogram("score", "Text.", (0.5,), label=("label", ("joy", "anger")))
    histogram.add(np.array([[0.1, 0.9], [0.2, 0.8]], np.float32))
    assert {"0.5": 2, "+Inf": 2} == buckets(histogram, label="joy")
    assert {"0.5": 0, "+Inf": 2} == buckets(histogram, label="anger")
    sums = {sample.labels["label"]: sample.value for sample in samples(histogram) if sample.name.endswith("_sum")}
    assert {"joy": 0.3, "anger": 1.7} == pytest.approx(sums)


def test_a_row_counts_as_often_as_it_occurs() -> None:
    histogram = BatchHistogram("tokens", "Text.", (10, 20))
    histogram.add(np.array([[5], [15], [25]]), np.array([3, 0, 2]))
    histogram.add(np.array([[15]]))
    assert {"10.0": 3, "20.0": 4, "+Inf": 6} == buckets(histogram)


def test_a_bin_keeps_its_latest_exemplar() -> None:
    """Of a batch, the last value of the bin that has one; a batch without any keeps the previous one."""
    histogram = BatchHistogram("seconds", "Text.", (1, 2))
    histogram.add_with_exemplars(np.array([0.5, 0.6, 1.5]), lambda n: {"trace_id": str(n)} if n != 1 else None)
    histogram.add_with_exemplars(np.array([0.7]), lambda _: None)
    assert {"1.0": ({"trace_id": "0"}, 0.5), "2.0": ({"trace_id": "2"}, 1.5)} == exemplars(histogram)
    registry = CollectorRegistry()
    registry.register(histogram)
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    assert 'seconds_bucket{le="2.0"} 4.0 # {trace_id="2"} 1.5' in text


def test_only_the_end_of_a_large_batch_is_searched_for_exemplars() -> None:
    histogram = BatchHistogram("seconds", "Text.", (1, 2))
    searched: list[int] = []
    histogram.add_with_exemplars(np.full(1000, 0.5), searched.append)
    assert list(range(999, 999 - EXEMPLAR_CANDIDATES, -1)) == searched
    assert {"1.0": 1000, "2.0": 1000, "+Inf": 1000} == buckets(histogram)
