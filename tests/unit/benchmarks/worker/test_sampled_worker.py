"""A sample counts for the innermost function of this project on the stack."""

import sys

from benchmarks.worker import sampled_worker
from emotag_model.tokens import pad


class SampledIds(tuple[int, ...]):
    """A row of ids that takes a sample when `pad` asks for its length."""

    sample: str = ""

    def __len__(self) -> int:
        SampledIds.sample = sampled_worker._find_function(sys._getframe())
        return super().__len__()


def test_a_sample_counts_for_the_innermost_function_of_the_project() -> None:
    """The frame of the sample is a function of this test, which `emotag_model.tokens.pad` calls."""
    pad([SampledIds((1, 2))], pad_id=0)
    assert SampledIds.sample.startswith("emotag_model.tokens.pad")


def test_a_sample_outside_the_project_counts_as_elsewhere() -> None:
    assert "elsewhere" == sampled_worker._find_function(sys._getframe())
