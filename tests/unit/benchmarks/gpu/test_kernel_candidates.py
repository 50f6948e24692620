"""The candidates compute the same as the engine's steps, in Triton's interpreter."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from benchmarks.gpu import kernel_candidates as kernels
from emotag_model.engines.packed_attention import attend_by_group, group_equal_lengths
from emotag_model.engines.packing import pack

DTYPES = {torch.float32: 2e-6, torch.float16: 2e-3}
"""Number formats and the largest difference."""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lengths", [[2], [1, 2, 2, 16], [5, 17, 33, 64]])
def test_each_token_attends_to_its_own_text(lengths: list[int], dtype: torch.dtype) -> None:
    batch = pack([[1] * length for length in lengths])
    torch.manual_seed(0)
    qkv_T3HD = torch.randn(sum(lengths), 3, 2, 32).to(dtype)
    bounds = torch.from_numpy(np.append(batch.starts_B, sum(lengths)).astype(np.int32))
    found_THD = kernels.attend_short_texts(qkv_T3HD, bounds, max(lengths))
    expected_THD = attend_by_group(group_equal_lengths(batch))(qkv_T3HD)
    assert (found_THD - expected_THD).abs().max() < DTYPES[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [32, 48])
def test_the_sum_is_normalized(width: int, dtype: torch.dtype) -> None:
    """Also if the width is no power of two."""
    torch.manual_seed(0)
    x_TC, residual_TC = torch.randn(2, 5, width).to(dtype)
    weight_C, bias_C = torch.randn(2, width).to(dtype)
    found_TC = kernels.add_and_normalize(x_TC, residual_TC, weight_C, bias_C, 1e-12)
    expected_TC = F.layer_norm((x_TC + residual_TC).float(), (width,), weight_C.float(), bias_C.float(), 1e-12)
    assert (found_TC.float() - expected_TC).abs().max() < 4 * DTYPES[dtype]
