"""The table of precisions is complete, and the engines' kernels agree with it."""

from typing import Any, get_args

import pytest

from emotag_model.engines.openvino_engine import HINTS
from emotag_model.engines.openvino_graph import MULTIPLY
from emotag_model.engines.packed import LINEAR
from emotag_model.engines.precision import (
    ENGINES,
    GPU_PRECISIONS,
    PRECISIONS,
    EngineName,
    PrecisionName,
    is_tolerable,
)
from emotag_model.engines.protocol import ENGINE_KINDS
from emotag_model.engines.torch_engine import DTYPES, IMITATED


def test_every_name_has_a_row_and_every_row_an_engine() -> None:
    assert get_args(PrecisionName) == tuple(PRECISIONS)
    assert get_args(EngineName) == ENGINES == tuple(ENGINE_KINDS)
    assert all(row.engines and set(row.engines) <= set(ENGINES) for row in PRECISIONS.values())
    assert set(ENGINES) == {engine for row in PRECISIONS.values() for engine in row.engines}


def test_each_engine_has_a_kernel_for_every_precision_of_the_table() -> None:
    """And for no other, except int8, which torch simulates."""
    by_openvino = {name for name, row in PRECISIONS.items() if "openvino" in row.engines}
    by_torch = {name for name, row in PRECISIONS.items() if "torch" in row.engines}
    assert by_openvino == set(HINTS) == set(MULTIPLY)
    assert by_torch == set(DTYPES)
    assert {*by_torch, IMITATED} == set(LINEAR)


def test_coarser_precisions_must_be_worth_more_than_a_hair() -> None:
    """Only fp32 wins by any margin."""
    assert {"fp32"} == {name for name, row in PRECISIONS.items() if row.worth is not None and row.worth <= 1.25}


def test_every_engine_has_a_precision_on_a_gpu_if_it_runs_there() -> None:
    for engine, kind in ENGINE_KINDS.items():
        if kind.runs_on_gpu:
            assert any(engine in PRECISIONS[name].engines for name in GPU_PRECISIONS)


def test_int8_is_taken_only_if_its_cost_is_known_and_small() -> None:
    assert is_tolerable("int8", {"dev": {"int8": {"macro_f1_loss": 0.0019}}})
    unknown: list[dict[str, Any]] = [{}, {"dev": {}}, {"dev": {"int8": {}}}, {"dev": {"int8": {"macro_f1_loss": None}}}]
    for metrics in [*unknown, {"dev": {"int8": {"macro_f1_loss": 0.002}}}]:
        assert not is_tolerable("int8", metrics)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_other_precisions_need_no_figures(precision: PrecisionName) -> None:
    assert is_tolerable(precision, {})
