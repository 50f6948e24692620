"""Attention within each text of a packed batch, in both implementations."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.packed import PackedForward
from emotag_model.engines.packed_attention import (
    attend_by_group,
    attend_by_text,
    find_varlen_kernel,
    group_equal_lengths,
)
from emotag_model.engines.packing import pack

ROWS: Sequence[Sequence[int]] = [[2, 5, 3], [2, 6, 3], [2, 7, 8, 9, 3], [2, *range(5, 25), 3]]


def text_by_text(q: Tensor, k: Tensor, v: Tensor, bounds_q: Tensor, bounds_k: Tensor, _: int, longest: int) -> Tensor:
    """`varlen_attn` as torch documents it, on any device."""
    assert torch.equal(bounds_q, bounds_k)
    assert longest == int(bounds_q.diff().max())
    context = torch.empty_like(q)
    for start, end in zip(bounds_q[:-1].tolist(), bounds_q[1:].tolist(), strict=True):
        query, key, value = (part[start:end].transpose(0, 1) for part in (q, k, v))
        context[start:end] = F.scaled_dot_product_attention(query, key, value).transpose(0, 1)
    return context


@pytest.mark.parametrize("round_to", [1, 64])
def test_all_texts_at_once_attend_as_groups_of_one_length_do(round_to: int) -> None:
    """With and without padding at the end of the row."""
    batch = pack(ROWS, round_to=round_to)
    qkv_T3HD = torch.randn(len(batch.ids_T), 3, 4, 8)
    tokens = sum(map(len, ROWS))
    at_once = attend_by_text(text_by_text, batch, torch.from_numpy)(qkv_T3HD)
    assert torch.allclose(attend_by_group(group_equal_lengths(batch))(qkv_T3HD)[:tokens], at_once[:tokens], atol=1e-6)
    assert at_once.isfinite().all()


@torch.inference_mode()
def test_the_forward_is_the_same_either_way(tiny_artifact: Callable[[], Artifact]) -> None:
    trained = tiny_artifact()
    model = DistilBertCNN.of(trained.config, trained.weights)
    batch = pack(ROWS)
    assert torch.allclose(PackedForward(model)(batch), PackedForward(model, varlen=text_by_text)(batch), atol=1e-6)


def test_a_device_without_the_kernel_goes_by_groups() -> None:
    assert find_varlen_kernel("cpu", torch.float16, heads=4, head_size=8) is None


def test_torch_takes_what_its_kernel_is_given() -> None:
    """Names, order, types and shapes, as far as they can be checked without a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    batch = pack(ROWS, round_to=16)
    qkv_T3HD = torch.empty(len(batch.ids_T), 3, 4, 32, dtype=torch.float16, device="meta")
    attend = attend_by_text(varlen_attn, batch, lambda values: torch.from_numpy(values).to("meta"))  # type: ignore[arg-type]
    assert (len(batch.ids_T), 4, 32) == attend(qkv_T3HD).shape
