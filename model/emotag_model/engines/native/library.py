"""The compiled library, its paths, and the structures that it reads."""

import ctypes
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emotag_model.errors import DeviceUnknown

FILE = Path(__file__).parent / "libemotag.so"
"""Compiled when emotag is installed; missing if there was no compiler then."""

PATH_VARIABLE = "EMOTAG_NATIVE_PATH"
"""The path to use instead of the fastest, for tests and benchmarks: `avx512`, `avxvnni`, `avx2` or `portable`."""

MOST_PATHS = 8

LANES, PANEL, GROUP, ZERO, ROWS = 16, 64, 4, 128, 6
"""As in `forward.h`, and `avx512.h` for the panel: floats computed at a time, outputs of the largest panel, inputs
multiplied at a time, the integer that stands for 0, and tokens multiplied at a time."""

MULTIPLES = {"dim": PANEL, "hidden_dim": PANEL, "channels": LANES, "dim / n_heads": LANES}
"""What the sizes of a model have to be multiples of: rows between two products have no filling."""


class LinearStruct(ctypes.Structure):
    """A linear layer; see `forward.h`."""

    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("weights", ctypes.c_void_p),
        ("steps", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("zeros", ctypes.c_void_p),
    )


class NormStruct(ctypes.Structure):
    """A layer norm; see `forward.h`."""

    _fields_ = (("gain", ctypes.c_void_p), ("bias", ctypes.c_void_p))


class LayerStruct(ctypes.Structure):
    """A layer of the encoder; see `forward.h`."""

    _fields_ = (
        ("qkv", LinearStruct),
        ("out", LinearStruct),
        ("inner", LinearStruct),
        ("outer", LinearStruct),
        ("after_attention", NormStruct),
        ("after_inner", NormStruct),
    )


class ModelStruct(ctypes.Structure):
    """A model; see `forward.h`."""

    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in ("dim", "hidden", "heads", "layers", "words", "positions", "channels", "kernel", "labels")
        ),
        ("norm_epsilon", ctypes.c_float),
        ("words_half", ctypes.c_void_p),
        ("words_single", ctypes.c_void_p),
        ("positions_LC", ctypes.c_void_p),
        ("embedded", NormStruct),
        ("layer", ctypes.POINTER(LayerStruct)),
        ("convolution", LinearStruct),
        ("convolution_bias", ctypes.c_void_p),
        ("classifier", ctypes.c_void_p),
        ("classifier_bias", ctypes.c_void_p),
    )


class PathStruct(ctypes.Structure):
    """A compilation for some processors, and how it wants its weights; see `forward.h`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("panel", ctypes.c_int32),
        ("measure", ctypes.c_void_p),
        ("forward", ctypes.c_void_p),
    )


@functools.cache
def load(file: Path = FILE) -> Any:
    """Return the library with the types of its functions.

    Raises:
        OSError: the file is missing, is for another processor or system, or was compiled from other sources.
    """
    library = ctypes.CDLL(str(file))  # ctypes releases the interpreter's lock during each call
    if _read_sources(library) != _hash_sources():
        raise OSError(f"{file} was compiled from other sources: install emotag again")
    pointer, number, size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
    path, model = ctypes.POINTER(PathStruct), ctypes.POINTER(ModelStruct)
    declare: Callable[..., None] = functools.partial(_declare, library)
    declare("emotag_paths", number, ctypes.POINTER(path), number)
    declare("emotag_workspace", size, path, model, number)
    batch, maxima = (pointer, number, pointer, number), (pointer, pointer)
    declare("emotag_forward", number, path, model, *batch, pointer, *maxima, pointer, size)
    declare("emotag_wordpiece_fill", number, pointer, ctypes.c_char_p, pointer, pointer, number, size)
    texts = (pointer, size, pointer, number)
    declare("emotag_wordpiece", number, pointer, *texts, number, number, pointer, size, pointer)
    return library


def _read_sources(library: ctypes.CDLL) -> str:
    """Return the hash of the sources that were compiled; empty if the library is too old to have one."""
    if not hasattr(library, "emotag_sources"):
        return ""
    library.emotag_sources.restype = ctypes.c_char_p
    return str(library.emotag_sources().decode())


def _hash_sources() -> str:
    """Return the hash of the C files in this folder, as `hatch_build.py` computes it."""
    digest = hashlib.sha256()
    for file in sorted([*FILE.parent.glob("*.c"), *FILE.parent.glob("*.h")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _declare(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> None:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments


def is_compiled() -> bool:
    """Return True if the library is there and can be loaded."""
    try:
        load()
    except OSError:
        return False
    return True


def is_fast() -> bool:
    """Return True if the library has instructions for this processor, and is not only correct on it."""
    return is_compiled() and _name(list_paths()[0]) != "portable"


def list_paths() -> list[Any]:
    """Return pointers to the paths that this processor can run, the fastest first."""
    found = (ctypes.POINTER(PathStruct) * MOST_PATHS)()
    return list(found[: load().emotag_paths(found, MOST_PATHS)])


def choose_path(named: str | None = None) -> Any:
    """Return a pointer to the path of this name, or to the fastest.

    Raises:
        DeviceUnknown: this processor cannot run the path named.
    """
    paths = {_name(path): path for path in list_paths()}
    named = named or next(iter(paths))
    if named not in paths:
        raise DeviceUnknown(f"{PATH_VARIABLE}={named!r} is not possible on this processor; use {', '.join(paths)}")
    return paths[named]


def _name(path: Any) -> str:
    return str(path.contents.name.decode())
