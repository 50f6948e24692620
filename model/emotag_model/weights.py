"""Weights in a safetensors file, read without torch: a worker on a CPU does not need torch."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import deserialize

Array = npt.NDArray[np.float32]

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""Formats of stored weights: our name, and the name in torch and in the artifact's config."""

_CODES = {"F32": ("float32", "<f4"), "F16": ("float16", "<f2"), "BF16": ("bfloat16", "<u2")}

WORDS = "encoder.embeddings.word_embeddings.weight"

HEADER_BYTES = 2**20
"""Upper limit of the header in a file of weights; it has some hundred bytes per array."""


def compute_largest_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the size in bytes of the largest file with arrays of these shapes: all in float32."""
    return HEADER_BYTES + 4 * sum(math.prod(shape) for shape in shapes.values())


def load(path: Path) -> tuple[dict[str, Array], str]:
    """Return every array of the file in float32, and the dtype in which they are stored (`float16`).

    Raises:
        OSError, SafetensorError: the file cannot be read.
        ValueError: an array is stored in another dtype than weights.
    """
    weights, stored = {}, set()
    for name, tensor in deserialize(path.read_bytes()):  # type: ignore[no-untyped-call]
        if tensor["dtype"] not in _CODES:
            raise ValueError(f"{name} is stored as {tensor['dtype']}; weights are {', '.join(sorted(_CODES))}")
        dtype, code = _CODES[tensor["dtype"]]
        values = np.frombuffer(tensor["data"], dtype=code).reshape(tensor["shape"])
        # numpy has no bfloat16: it is the upper half of a float32.
        weights[name] = (
            (values.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else values.astype(np.float32)
        )
        stored.add(dtype)
    return weights, " and ".join(sorted(stored))


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
    words_VC = weights[WORDS]
    with np.errstate(over="ignore"):
        half_VC = words_VC.astype(np.float16)
    return half_VC if np.array_equal(half_VC, words_VC) else words_VC
