"""Weights in a safetensors file, read without torch: a worker on a CPU does not need torch."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import deserialize

Array = npt.NDArray[np.float32]

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""Formats of stored weights: our name, and the name in torch and in the artifact's config."""

_CODES = {"F32": ("float32", "<f4"), "F16": ("float16", "<f2"), "BF16": ("bfloat16", "<u2")}
"""Formats in a file: the name in torch, and numpy's code. numpy has no bfloat16, so its bits are read as integers."""

_INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80}
"""The bits of infinity. Larger numbers, without the sign, are not a number."""

WORDS = "encoder.embeddings.word_embeddings.weight"

HEADER_BYTES = 2**20
"""Upper limit of the header in a file of weights; it has some hundred bytes per array."""


def compute_largest_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the size in bytes of the largest file with arrays of these shapes: all in float32."""
    return HEADER_BYTES + 4 * sum(math.prod(shape) for shape in shapes.values())


class StoredWeights(Mapping[str, Array]):
    """The arrays of a file, each in float32 when it is read. In memory they are as they are stored.

    A copy of all of them in float32 would take twice the memory of a float16 file, and a quarter of a start's time.

    Attributes:
        stored: the dtype and the values of each array; those of bfloat16 as integers with the same bits.
    """

    def __init__(self, stored: Mapping[str, tuple[str, npt.NDArray[Any]]]) -> None:
        self.stored = stored

    def __getitem__(self, name: str) -> Array:
        """Return a new array."""
        dtype, values = self.stored[name]
        if dtype == "bfloat16":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def dtype(self) -> str:
        """The dtype in which the arrays are stored (`float16`)."""
        return " and ".join(sorted({dtype for dtype, _ in self.stored.values()}))

    def read_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array without a copy of it."""
        return self.stored[name][1].shape

    def is_finite(self, name: str) -> bool:
        """Return True if every value of an array is a finite number, without a copy in float32."""
        dtype, values = self.stored[name]
        if dtype not in _INFINITY:
            return bool(np.isfinite(values).all())
        return bool((values.view(np.uint16) & 0x7FFF).max(initial=0) < _INFINITY[dtype])


def parse(content: bytes) -> StoredWeights:
    """Return the arrays of a file with this content.

    Raises:
        SafetensorError: the content has another format.
        ValueError: an array is stored in another dtype than weights.
    """
    stored = {}
    for name, tensor in deserialize(content):  # type: ignore[no-untyped-call]
        if tensor["dtype"] not in _CODES:
            raise ValueError(f"{name} is stored as {tensor['dtype']}; weights are {', '.join(sorted(_CODES))}")
        dtype, code = _CODES[tensor["dtype"]]
        stored[name] = dtype, np.frombuffer(tensor["data"], dtype=code).reshape(tensor["shape"])
    return StoredWeights(stored)


def save(weights: Mapping[str, Array], path: Path, *, dtype: str) -> None:
    """Write *weights* in *dtype*, one of `DTYPES`; needs torch."""
    import torch
    from safetensors.torch import save_file

    stored = {
        name: torch.from_numpy(np.ascontiguousarray(values)).to(getattr(torch, DTYPES[dtype]))
        for name, values in weights.items()
    }
    save_file(stored, path, metadata={"format": "pt"})
    path.chmod(0o644)  # save_file makes it readable for its owner only


def read_embeddings(weights: Mapping[str, Array]) -> npt.NDArray[np.floating]:
    """Return the embedding of every word, words_VC, in float16 if that is exact: artifacts store float16."""
    if isinstance(weights, StoredWeights):
        dtype, stored_VC = weights.stored[WORDS]
        if dtype == "float16":
            return stored_VC
    words_VC = weights[WORDS]
    with np.errstate(over="ignore"):
        half_VC = words_VC.astype(np.float16)
    return half_VC if np.array_equal(half_VC, words_VC) else words_VC
