"""The size of a batch follows the latency objective and the cost of the last batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotag_worker.batch_budget import LEAST_RECORDS, BatchBudget

MS = 0.001
TIMES = st.floats(0, 10)


def settle(budget: BatchBudget, *, record_s: float, write_s: float, device: bool = True) -> int:
    """Return the size of a batch after fifty full batches at these costs."""
    for _ in range(50):
        spent = budget.max_records * record_s
        budget.learn(
            records=budget.max_records,
            new=budget.max_records if device else 0,
            device_s=spent if device else 0.0,
            host_s=0.0 if device else spent,
            write_s=write_s,
        )
    return budget.max_records


@pytest.mark.parametrize("device", [True, False])
@pytest.mark.parametrize(("record_s", "write_s"), [(3 * MS, 30 * MS), (0.05 * MS, 20 * MS), (10 * MS, 100 * MS)])
def test_two_batches_and_their_writing_fit_into_the_objective(record_s: float, write_s: float, device: bool) -> None:
    """The slower of the device and the pipeline's own thread decides, whatever the first estimate was."""
    budget = BatchBudget(objective_s=1.0, most=100_000, record_s=MS)
    records = settle(budget, record_s=record_s, write_s=write_s, device=device)
    assert pytest.approx(1.0, rel=0.05) == 2 * (records * record_s + write_s)


def test_a_longer_objective_takes_on_more() -> None:
    short, long = (BatchBudget(objective_s=s, most=100_000, record_s=MS) for s in (0.2, 2.0))
    assert 100 == short.max_records
    assert 1000 == long.max_records


def test_no_objective_is_so_short_that_batches_become_empty() -> None:
    budget = BatchBudget(objective_s=MS, most=100, record_s=10 * MS)
    assert LEAST_RECORDS == settle(budget, record_s=10 * MS, write_s=50 * MS)


@given(st.lists(st.tuples(st.integers(1, 5000), TIMES, TIMES, TIMES), max_size=30), st.integers(1, 5000))
def test_whatever_it_learns_it_stays_within_its_bounds(
    batches: list[tuple[int, float, float, float]], most: int
) -> None:
    budget = BatchBudget(objective_s=1.0, most=most, record_s=MS)
    for records, device_s, host_s, write_s in batches:
        budget.learn(records=records, new=records // 2, device_s=device_s, host_s=host_s, write_s=write_s)
        assert min(LEAST_RECORDS, most) <= budget.max_records <= most


def test_a_lone_record_now_and_then_teaches_it_little() -> None:
    """It costs a whole transaction and a whole forward pass; the backlog after it must not be read in small batches."""
    budget = BatchBudget(objective_s=1.0, most=100_000, record_s=MS)
    for _ in range(10):
        budget.learn(records=1, new=1, device_s=10 * MS, host_s=MS, write_s=20 * MS)
    assert budget.max_records > 400


def test_what_repeats_cost_says_nothing_of_new_texts() -> None:
    """After a long time of repeats, a batch takes on no more new texts than about twice what fits the objective."""
    budget = BatchBudget(objective_s=1.0, most=100_000, record_s=4 * MS)
    before = budget.max_new_texts
    assert budget.max_records < 1_000 < settle(budget, record_s=0.05 * MS, write_s=0.0, device=False)
    assert before == budget.max_new_texts == 250


def test_long_texts_count_as_their_windows() -> None:
    """Otherwise a batch of long texts could take a minute. One text always fits."""
    budget = BatchBudget(objective_s=1.0, most=1000, record_s=0.01)
    assert 100 == budget.max_new_texts
    assert 100 == budget.count_fitting(["short"] * 300)
    long = "a" * 256 * 9
    assert 10 == budget.count_fitting([long] * 300)
    assert 37 == budget.count_fitting(["short"] * 30 + [long] * 7 + ["short"] * 300), "30 + 7 * 10 = 100"
    assert 1 == BatchBudget(objective_s=1.0, most=1000, record_s=1.0).count_fitting(["a" * 99_999] * 3)
