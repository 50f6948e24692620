"""The measurement: what is measured, in which order, and which timings count."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import measurement
from emotag_model.engines.measurement import FAR_BEHIND, WORTH_TORCH, measure_in_process, measure_rounds, pick_best
from emotag_model.engines.precision import PRECISIONS
from emotag_model.reasons.spans import Maxima

Rows = Sequence[Sequence[int]]


class Clock:
    """A clock that only a `Slow` engine advances, so that a busy machine changes no timing."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(measurement, "time", clock)
    return clock


class Slow:
    """An engine that takes *seconds* per call and counts its calls."""

    name, device, precision, concurrency, computed_tokens = "slow", "cpu", "fp32", 1, 0

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.calls = 0

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        self.calls += 1
        self.clock.now_s += self.seconds
        return np.zeros((len(rows), 1), np.float32)

    def explain(self, rows: Rows) -> tuple[npt.NDArray[np.float32], Maxima]:
        raise AssertionError("only probabilities are measured")

    def recover(self) -> None: ...


def test_no_candidate_is_given_up_on_that_could_still_decide() -> None:
    """For example fp32, with which the others are compared."""
    assert FAR_BEHIND > max(row.worth or 0.0 for row in PRECISIONS.values()) * WORTH_TORCH


def test_a_candidate_far_behind_is_not_measured_to_the_end(clock: Clock) -> None:
    """bf16 that a processor only imitates would delay the start by a second."""
    fast, slow = Slow(clock, 0.001), Slow(clock, 0.02)
    *_, timings = measure_rounds({"fast": fast, "slow": slow}, texts=1)
    assert timings["fast"] < timings["slow"]
    assert (6, 3) == (fast.calls, slow.calls)


def test_a_precision_that_is_not_in_the_table_is_never_chosen() -> None:
    """The table must contain how much faster than fp32 it has to be."""
    candidates = [("openvino", "fp32"), ("openvino", "fp4")]
    with pytest.raises(KeyError, match="fp4"):
        pick_best({"openvino/fp32": 10.0, "openvino/fp4": 1.0}, candidates)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"", {}),
        (b'{"openvino/fp32": 3.0}\n', {"openvino/fp32": 3.0}),
        (b'{"openvino/fp32": 3.0}\n{"openvino/fp32": 2.0}\n', {"openvino/fp32": 2.0}),
        (b'{"openvino/fp32": 3.0}\n{"openvi', {"openvino/fp32": 3.0}),
    ],
)
@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("", 8.0), subprocess.CalledProcessError(1, "")])
def test_the_complete_rounds_of_a_process_that_did_not_end_count(
    output: bytes, expected: dict[str, float], error: subprocess.SubprocessError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> None:
        error.stdout = output  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    assert expected == measure_in_process(Path(), [("openvino", "fp32")])


@pytest.mark.parametrize(
    ("int8_s", "opened"),
    [(0.001, ["openvino/fp32", "openvino/int8"]), (0.004, ["openvino/fp32", "openvino/int8", "torch/fp32"])],
)
def test_torch_is_measured_only_if_fp32_is_the_best_of_openvino(
    shipped: Artifact, int8_s: float, opened: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing it takes most of the time of a measurement."""
    found: list[str] = []

    def open_engine(_: Artifact, *, engine: str, device: str, precision: str) -> Slow:
        found.append(f"{engine}/{precision}")
        return Slow(clock, int8_s if precision == "int8" else 0.004)

    monkeypatch.setattr(measurement, "open_engine", open_engine)
    measurement._main(str(shipped.path), "openvino/fp32", "openvino/int8", "torch/fp32")
    assert opened == found
