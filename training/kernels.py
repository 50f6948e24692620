"""Convolutions of several kernel sizes side by side, as one: the widest, with zeros where narrower ones do not reach.

So the model's shape stays what every engine computes and every artifact holds. What it costs is that a narrow kernel
takes as long as the widest.

Source: Kim 2014, "Convolutional Neural Networks for Sentence Classification" (arXiv:1408.5882).
"""

import math

import torch
from torch import Tensor

from model.distilbert_cnn import DistilBertCNN


def sizes_of(kernel_sizes: str) -> list[int]:
    """`3+5+7` as numbers, narrowest first."""
    return sorted(int(size) for size in kernel_sizes.split("+"))


def side_by_side(model: DistilBertCNN, sizes: list[int]) -> None:
    """Narrow the model's fresh kernels to *sizes*, each an even share of the channels, and keep them so in training.

    The first weights of a narrow kernel are as large as torch would have drawn them for it. One size alone changes
    nothing, and draws nothing.

    Args:
        model: its own kernel size is the largest of *sizes*.
    """
    weight_FCk = model.conv.weight
    reached_Fk = torch.zeros(weight_FCk.shape[0], weight_FCk.shape[2])
    scale_F = torch.ones(len(reached_Fk))
    for channels, size in zip(torch.arange(len(reached_Fk)).tensor_split(len(sizes)), sizes, strict=True):
        beyond = (reached_Fk.shape[1] - size) // 2
        reached_Fk[channels, beyond : beyond + size] = 1
        scale_F[channels] = math.sqrt(reached_Fk.shape[1] / size)
    if reached_Fk.all():
        return
    reached_F1k = reached_Fk[:, None, :]
    with torch.no_grad():
        weight_FCk.mul_(scale_F[:, None, None] * reached_F1k)

    def within(gradient_FCk: Tensor) -> Tensor:
        nonlocal reached_F1k  # moved once: a step that is recorded may not wait for a copy
        reached_F1k = reached_F1k.to(gradient_FCk.device)
        return gradient_FCk * reached_F1k

    weight_FCk.register_hook(within)  # type: ignore[no-untyped-call]
