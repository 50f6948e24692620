"""Each processor has its own goal for the ratio to plain torch."""

import pytest

from benchmarks.engine import goals
from benchmarks.engine.competitors import emotag, plain_torch
from benchmarks.measurements import Measurements


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (["avx2", "avx512_vnni", "amx_bf16"], [30.0, None]),
        (["avx2", "avx512_vnni"], [None, 30.0]),
        (["avx2"], [None, None]),
    ],
)
def test_the_goal_against_plain_torch_depends_on_the_processor(
    instructions: list[str], expected: list[float | None]
) -> None:
    rates = Measurements("engine", "texts/s")
    for number, (ours, theirs) in enumerate([(300.0, 10.0), (600.0, 20.0)]):
        rates.add(emotag.NAME, number, ours)
        rates.add(plain_torch.NAME, number, theirs)
    computed = goals.plain_torch_goals(rates, instructions)
    assert expected == [goal.measured for goal in computed]
    assert all("30.0 times" in goal.why for goal in computed if goal.measured is None)
