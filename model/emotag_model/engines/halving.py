"""Find the texts on which a device fails, and compute the others."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt


def compute_or_halve(
    texts: range,
    compute: Callable[[range], npt.NDArray[np.float32]],
    *,
    labels: int,
    recover: Callable[[], None],
    check: Callable[[], None],
) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
    """Return the probabilities of each text, [B, K], and the error of every failed text by its number.

    A failing batch is halved until the failing text is alone. The row of a failed text is zero.

    Args:
        texts: the numbers of the texts.
        compute: returns the probabilities of some of them, or raises an error.
        labels: K.
        recover: called after each failure.
        check: raises an error if the device fails on a harmless text too.
    """
    try:
        probabilities_BK = compute(texts)
    except Exception as error:  # whatever a kernel or a driver raises  # noqa: BLE001
        failure: Exception = error
    else:
        if np.isfinite(probabilities_BK).all():
            return probabilities_BK, {}
        failure = ArithmeticError("the model's output is not a finite number")
    recover()
    if len(texts) == 1:
        check()
        return np.zeros((1, labels), dtype=np.float32), {texts.start: failure}
    middle = len(texts) // 2
    left_BK, left_errors = compute_or_halve(texts[:middle], compute, labels=labels, recover=recover, check=check)
    right_BK, right_errors = compute_or_halve(texts[middle:], compute, labels=labels, recover=recover, check=check)
    return np.concatenate([left_BK, right_BK]), left_errors | right_errors
