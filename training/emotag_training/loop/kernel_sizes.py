"""Kernels of several sizes in one convolution: all as wide as the widest, with zeros outside the narrower ones.

So every engine and every artifact supports the model's shape. The cost: a narrow kernel takes as long as the widest.

Source: Kim 2014, "Convolutional Neural Networks for Sentence Classification" (arXiv:1408.5882).
"""

import math

import torch
from torch import Tensor

from emotag_model.distilbert_cnn import DistilBertCNN


def parse_kernel_sizes(kernel_sizes: str) -> list[int]:
    """Return the sizes in `3+5+7` as numbers, narrowest first."""
    return sorted(int(size) for size in kernel_sizes.split("+"))


def narrow_kernels(model: DistilBertCNN, sizes: list[int]) -> None:
    """Narrow the model's untrained kernels to *sizes*, an equal share of the channels each. Training keeps them so.

    The first weights of a narrow kernel are as large as torch would draw them for that size. With a single size, the
    function changes and draws nothing.

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
        nonlocal reached_F1k  # moved once: a recorded step must not wait for a copy
        reached_F1k = reached_F1k.to(gradient_FCk.device)
        return gradient_FCk * reached_F1k

    weight_FCk.register_hook(within)  # type: ignore[no-untyped-call]
