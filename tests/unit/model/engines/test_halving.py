"""A failing batch is halved down to the text that fails."""

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.engines.halving import compute_or_halve


def compute(texts: range) -> npt.NDArray[np.float32]:
    """Fail for text 5, and return no number for text 9."""
    if 5 in texts:
        raise RuntimeError("out of memory")
    return np.array([[np.nan if text == 9 else text] * 2 for text in texts], np.float32)


def test_the_failed_texts_have_an_error_and_a_row_of_zeros() -> None:
    recovered: list[int] = []
    found_BK, errors = compute_or_halve(
        range(2, 13), compute, labels=2, recover=lambda: recovered.append(1), check=lambda: None
    )
    assert [2, 3, 4, 0, 6, 7, 8, 0, 10, 11, 12] == found_BK[:, 1].tolist()
    assert {5: "RuntimeError", 9: "ArithmeticError"} == {text: type(error).__name__ for text, error in errors.items()}
    assert len(recovered) >= 2


def test_if_a_harmless_text_fails_too_the_error_is_the_devices() -> None:
    def check() -> None:
        raise OSError("the device is gone")

    with pytest.raises(OSError, match="the device is gone"):
        compute_or_halve(range(8), compute, labels=2, recover=lambda: None, check=check)
