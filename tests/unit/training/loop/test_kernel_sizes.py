"""Kernels of several sizes in one convolution: the same features as separate convolutions."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.loop.kernel_sizes import narrow_kernels, parse_kernel_sizes
from tests.numerics.conftest import tiny_config


def grown(kernel_size: int) -> DistilBertCNN:
    torch.manual_seed(0)
    return DistilBertCNN(replace(tiny_config(), kernel_size=kernel_size))


def test_sizes_come_narrowest_first() -> None:
    assert [3, 5, 7] == parse_kernel_sizes("5+3+7")


def test_one_size_leaves_the_model_as_it_is() -> None:
    model = grown(5)
    narrow_kernels(model, [5])
    assert torch.equal(grown(5).conv.weight, model.conv.weight)


def test_each_share_of_the_channels_is_a_convolution_of_its_own_size() -> None:
    """With initial weights of the scale that torch uses for this size."""
    model = grown(7)
    narrow_kernels(model, [3, 7])
    weight_FCk, bias_F = model.conv.weight, model.conv.bias
    assert bias_F is not None
    half = len(weight_FCk) // 2
    hidden_BCL = torch.randn(2, weight_FCk.shape[1], 9)
    narrow = F.conv1d(hidden_BCL, weight_FCk[:half, :, 2:5], bias_F[:half], padding=1)
    wide = F.conv1d(hidden_BCL, weight_FCk[half:], bias_F[half:], padding=3)
    torch.testing.assert_close(torch.cat([narrow, wide], dim=1), model.conv(hidden_BCL))
    assert torch.equal(grown(7).conv.weight[half:], weight_FCk[half:])
    most = 1 / math.sqrt(weight_FCk.shape[1] * 3)
    assert 0.8 * most < float(weight_FCk[:half].detach().abs().max()) <= most


def test_what_a_narrow_kernel_does_not_reach_stays_zero_in_training() -> None:
    model = grown(7)
    narrow_kernels(model, [3, 7])
    optimizer = torch.optim.AdamW([model.conv.weight], lr=0.1, weight_decay=0.1)
    before_FCk = model.conv.weight.detach().clone()
    half = len(before_FCk) // 2
    for _ in range(3):
        optimizer.zero_grad()
        model.conv(torch.randn(2, before_FCk.shape[1], 9)).square().sum().backward()
        optimizer.step()
    now_FCk = model.conv.weight.detach()
    assert 0 == now_FCk[:half, :, [0, 1, 5, 6]].count_nonzero()
    assert (now_FCk != before_FCk)[:half, :, 2:5].all()
    assert (now_FCk != before_FCk)[half:].all()
