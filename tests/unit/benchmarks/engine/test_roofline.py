"""The roofline is the rate of the fastest exact product."""

import pytest

from benchmarks.engine import roofline
from benchmarks.engine.roofline import Rate, find_best


@pytest.mark.parametrize(
    ("precision", "instructions", "slow", "expected"),
    [
        ("fp32", ["avx2"], "torch", 3),
        ("fp32", ["avx2"], "openvino", 3),
        ("int8", ["avx512_vnni"], "torch", 1),
        ("int8", ["avx2"], "torch", 3),
    ],
)
def test_the_roofline_is_the_rate_of_the_faster_library(
    precision: str, instructions: list[str], slow: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In int8 only torch multiplies matrices. Without VNNI, a product in fp32 may be faster."""
    products = {"torch": 3, "openvino": 3} | {slow: 1}
    monkeypatch.setattr(roofline, "list_instructions", lambda: instructions)
    monkeypatch.setattr(roofline, "_torch", lambda size, precision: lambda: products["torch"])
    monkeypatch.setattr(roofline, "_openvino", lambda size, precision: lambda: products["openvino"])
    monkeypatch.setattr(roofline, "_rate", lambda rows, inner, columns, multiply, *_: Rate(multiply(), multiply()))
    assert Rate(expected, expected) == roofline.measure_fastest_matmul_rate(precision, sizes=[(1, 1, 1)])


def test_a_library_that_is_far_behind_is_not_measured_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def rate(rows: int, inner: int, columns: int, precision: str, *_: object) -> Rate:
        measured.append((precision, rows))
        return Rate(1, 1) if precision == "int8" else Rate(5, 5)

    monkeypatch.setattr(roofline, "list_instructions", lambda: ["avx2"])
    monkeypatch.setattr(roofline, "list_libraries", lambda precision: (roofline.TORCH,))
    monkeypatch.setattr(roofline, "_torch", lambda size, precision: precision)
    monkeypatch.setattr(roofline, "_rate", rate)
    assert Rate(5, 5) == roofline.measure_fastest_matmul_rate("int8", sizes=[(1, 1, 1), (2, 2, 2)])
    assert [("fp32", 1), ("fp32", 2), ("int8", 1)] == measured


def test_the_best_rates_by_the_clock_and_by_processor_time_may_be_of_different_sizes() -> None:
    assert Rate(9, 5) == find_best([Rate(9, 4), Rate(7, 5)])


def test_a_copy_has_a_plausible_rate() -> None:
    rate = roofline.measure_copy_rate(seconds=0.01, sizes=[2**16])
    assert 1e7 < rate.clock < 1e14


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_measured_rate_is_plausible(precision: str) -> None:
    rate = roofline.measure_fastest_matmul_rate(precision, seconds=0.01, sizes=[(64, 64, 64)])
    assert 1e6 < rate.clock < 1e15


def test_an_unknown_precision_is_rejected() -> None:
    with pytest.raises(ValueError, match="fp7"):
        roofline.measure_fastest_matmul_rate("fp7", seconds=0.01)
