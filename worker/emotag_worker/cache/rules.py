"""The part of a cache key that is the same for all texts: whatever else decides an entry.

It contains a hash of the code of emotag_model, which decides the tokens, the scope and the language of a text, the bits
of its probabilities, and its reasons. So a worker with other code never reads an entry that this code made.
"""

import hashlib
import unicodedata
from functools import cache
from importlib.metadata import version
from pathlib import Path

import emotag_model
from emotag_worker.protocols import Tagger

from .entry import VERSION

FOLDER = Path(emotag_model.__file__).parent
CODE = (".py", ".c", ".h", ".txt")
"""Code, and the list of words of the scope. The hash of the detector's model is in the code, and the version of the
tagger covers weights and tokenizer."""

LIBRARIES = ("tokenizers", "fasttext-predict-v2")

ENGINE_LIBRARIES = {"openvino": "openvino", "torch": "torch", "reference": "torch"}
"""The library that computes the probabilities of an engine: another version can change their bits."""

DIGEST_BYTES = 3
"""Two versions of the code have the same hash once in 17 million. With one byte more, each key would take 16 bytes
more of Redis' memory."""


def identify_entries(tagger: Tagger, *, reasons: bool) -> str:
    """Return the model, its engine and precision, which change the bits of probabilities, and the hash of the code.

    The hash also changes with the way in which the tagger reads long texts.

    Args:
        reasons: entries have spans.
    """
    library = ENGINE_LIBRARIES.get(tagger.engine)
    settings = (VERSION, tagger.long_texts, reasons, version(library) if library else "")
    model = tagger.version.removeprefix("sha256:")[:16]  # eight bytes identify it
    return f"{model}-{tagger.engine}-{tagger.precision}-{hash_code(entries=settings)}"


@cache
def hash_code(folder: Path = FOLDER, *, entries: object) -> str:
    """Return the hash of the code in a folder, in the order of the names.

    It also changes with a comment in one of the files: workers then compute all texts once.

    Args:
        entries: the version of the format of entries, and other settings that they depend on.
    """
    versions = [str(entries), *map(version, LIBRARIES), unicodedata.unidata_version]
    hashed = hashlib.blake2b(" ".join(versions).encode(), digest_size=DIGEST_BYTES)
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.suffix in CODE}
    for name, file in sorted(files.items()):
        hashed.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()
