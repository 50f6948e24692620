"""The roofline by kind is the time of each kind of operation at its own rate."""

import pytest

from benchmarks.engine import roofline
from benchmarks.engine.competitors import emotag
from benchmarks.engine.roofline import Rate
from benchmarks.engine.shares import BY_KIND, OWN, ROOFLINE, Shares
from benchmarks.engine.work import Work
from benchmarks.measurements import Measurements

WORK = Work(products=800.0, attention=100.0, moved_bytes=50.0)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    rates = {"int8": Rate(8e6, 4e6), "fp32": Rate(2e6, 1e6)}
    monkeypatch.setattr(roofline, "measure_fastest_matmul_rate", rates.__getitem__)
    monkeypatch.setattr(roofline, "measure_copy_rate", lambda: Rate(2e6, 1e6))
    monkeypatch.setattr(roofline, "list_instructions", lambda: ["avx512_vnni"])
    measured = Shares("int8")
    for number in range(3):
        measured.measure(number)
    return measured


def own(unit: str, value: float) -> Measurements:
    values = Measurements("engine", unit)
    for number in range(3):
        values.add(emotag.NAME, number, value)
    return values


def test_each_kind_of_operation_has_its_own_rate(shares: Shares) -> None:
    """Products take 200 µs, attention 100 µs and the rest 50 µs; all operations at the rate of products, 225 µs."""
    times = shares.compute(own("µs/text", 500.0), WORK)
    assert pytest.approx(350.0) == times.median(BY_KIND)
    assert pytest.approx(225.0 / 500.0) == times.ratio(ROOFLINE, OWN)


def test_the_rows_name_the_rates_and_the_shares(shares: Shares) -> None:
    rows = {row.name: row for row in shares.make_rows(own("texts/s", 4000.0), own("µs/text", 500.0), WORK)}
    assert pytest.approx(4000 * 900 / 8e6) == rows["emotag, work done"].ratio
    assert pytest.approx(0.7) == rows[BY_KIND].ratio
    assert rows["matrix multiplication alone, int8"].note.startswith("torch")


def test_a_precision_without_a_matrix_product_has_no_roofline() -> None:
    measured = Shares("fp7")
    measured.measure(0)
    assert not measured.measured
