"""Weights in a safetensors file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emotag_model import weights


def test_another_dtype_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, dtype=torch.int64)}, tmp_path / "a")
    with pytest.raises(ValueError, match="a is stored as I64"):
        weights.parse((tmp_path / "a").read_bytes())


@pytest.mark.parametrize("dtype", weights.DTYPES)
def test_values_are_in_memory_as_they_are_stored_and_float32_when_they_are_read(tmp_path: Path, dtype: str) -> None:
    """So the float32 copy of each array lives only as long as its reader needs it."""
    values = np.array([[0.5, -1.75, 2.0]], np.float32)
    weights.save({"a": values}, tmp_path / "a", dtype=dtype)
    read = weights.parse((tmp_path / "a").read_bytes())
    assert ((weights.DTYPES[dtype], (1, 3)), ["a"], 1) == ((read.dtype, read.read_shape("a")), list(read), len(read))
    assert (4 if dtype == "fp32" else 2) * values.size == read.stored["a"][1].nbytes
    assert np.float32 == read["a"].dtype
    assert np.array_equal(values, read["a"])
    read["a"][:] = 0
    assert np.array_equal(values, read["a"]), "a reader has changed what the others read"


@pytest.mark.parametrize("dtype", weights.DTYPES)
@pytest.mark.parametrize(("value", "finite"), [(np.inf, False), (-np.inf, False), (np.nan, False), (-65504.0, True)])
def test_numbers_that_are_not_finite_are_found_in_every_dtype(
    tmp_path: Path, dtype: str, value: float, finite: bool
) -> None:
    weights.save({"a": np.array([0, value, 1], np.float32)}, tmp_path / "a", dtype=dtype)
    assert finite is weights.parse((tmp_path / "a").read_bytes()).is_finite("a")


def test_no_file_of_these_shapes_is_larger_than_the_limit(tmp_path: Path) -> None:
    values = np.zeros((100, 7), np.float32)
    weights.save({"a": values}, tmp_path / "a", dtype="fp32")
    assert values.nbytes < (tmp_path / "a").stat().st_size <= weights.compute_largest_size({"a": (100, 7)})


def test_embeddings_are_kept_in_half_the_memory_only_if_that_is_exact() -> None:
    exact, finer, larger = np.float32(0.5), np.float32(1 / 3), np.float32(1e6)
    for value, dtype in ((exact, np.float16), (finer, np.float32), (larger, np.float32)):
        words_VC = weights.read_embeddings({weights.WORDS: np.full((2, 3), value, np.float32)})
        assert dtype == words_VC.dtype
        assert (value == words_VC).all()


def test_embeddings_stored_in_float16_are_not_copied(tmp_path: Path) -> None:
    """They are half of the shipped file."""
    weights.save({weights.WORDS: np.full((2, 3), 0.5, np.float32)}, tmp_path / "a", dtype="fp16")
    read = weights.parse((tmp_path / "a").read_bytes())
    assert np.shares_memory(read.stored[weights.WORDS][1], weights.read_embeddings(read))
