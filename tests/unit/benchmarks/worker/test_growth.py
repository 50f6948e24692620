"""Memory is measured after fixed backlogs."""

from benchmarks.worker import growth


def test_memory_has_goals_in_steady_state_and_after_a_million_messages() -> None:
    resident = {1_000: 170.0, 10_000: 190.0, 100_000: 200.0, 1_000_000: 219.0}
    steady, million = growth._memory_goals(resident, alone=100.0, warm=160.0, files=40.0)
    assert (190.0, "least met") == (steady.measured, steady.verdict)
    assert (219.0, "met") == (million.measured, million.verdict)
    del resident[1_000_000]
    *_, million = growth._memory_goals(resident, alone=100.0, warm=160.0, files=40.0)
    assert million.measured is None
