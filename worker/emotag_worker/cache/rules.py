"""The part of a cache key that is the same for all texts: whatever else decides an entry.

It contains a hash of the code that decides the tokens, the reasons, the scope and the language of a text, and the bits
of its probabilities. So a worker with other rules never reads an entry that these rules made.
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
FILES = (
    *("tokens.py", "long_texts/windows.py", "reasons/explainer.py", "reasons/spans.py"),
    *("spelling/emoji.py", "spelling/noise.py", "spelling/styled.py"),
    *("scope/detector.py", "scope/english.txt", "scope/rules.py"),
    *("tagger.py", "engines/native/wordpiece.py"),
    *(f"engines/native/{name}" for name in ("avx2.h", "avx512.h", "fold.h", "forward.c", "forward.h")),
    *(f"engines/native/{name}" for name in ("library.c", "portable.h", "wordpiece.c", "wordpiece.h")),
)
"""Code and tables, in the folder of emotag_model. The first file of the scope contains the hash of the detector's
model, and the version of the tagger covers the tokenizer."""

LIBRARIES = ("tokenizers", "fasttext-predict-v2")

ENGINE_LIBRARIES = ("openvino", "torch")
"""Libraries that compute the probabilities of the engine of the same name: another version can change their bits."""

DIGEST_BYTES = 3
"""Two versions of the rules have the same hash once in 17 million. With one byte more, each key would take 16 bytes
more of Redis' memory."""


def identify_entries(tagger: Tagger, *, reasons: bool) -> str:
    """Return the model, its engine and precision, which change the bits of probabilities, and the hash of the rules.

    The hash also changes with the way in which the tagger reads long texts.

    Args:
        reasons: entries have spans.
    """
    library = version(tagger.engine) if tagger.engine in ENGINE_LIBRARIES else ""
    settings = (VERSION, tagger.long_texts, reasons, library)
    model = tagger.version.removeprefix("sha256:")[:16]  # eight bytes identify it
    return f"{model}-{tagger.engine}-{tagger.precision}-{hash_rules(entries=settings)}"


@cache
def hash_rules(folder: Path = FOLDER, *, entries: object) -> str:
    """Return the hash of the rules.

    It also changes with a comment in one of the files: workers then compute all texts once.

    Args:
        entries: the version of the format of entries, and other settings that they depend on.
    """
    versions = [str(entries), *map(version, LIBRARIES), unicodedata.unidata_version]
    hashed = hashlib.blake2b(" ".join(versions).encode(), digest_size=DIGEST_BYTES)
    for name in FILES:
        hashed.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return hashed.hexdigest()
