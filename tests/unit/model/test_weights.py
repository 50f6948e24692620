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
        weights.load(tmp_path / "a")


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
