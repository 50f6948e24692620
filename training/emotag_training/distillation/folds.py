"""Folds: parts of the training texts that a run leaves out, so that it can predict texts that it has not seen.

A text's fold follows from its characters alone, in every run and on every machine, so no list of folds is stored. Equal
texts are in the same fold; texts that differ in case or white space can be in different ones.
"""

import hashlib
import re

import numpy as np
import numpy.typing as npt

from emotag_training.data.split import Split
from emotag_training.errors import RecipeError


def parse_fold(fold: str) -> tuple[int, int]:
    """Return 2 and 5 for `2/5`.

    Raises:
        RecipeError: the text does not name a fold.
    """
    found = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", fold)
    if not found or not int(found[1]) <= int(found[2]) >= 2:
        raise RecipeError(f"fold {fold!r} is unknown; it takes one like 2/5, the second of five")
    return int(found[1]), int(found[2])


def mark_fold(split: Split, fold: str) -> npt.NDArray[np.bool_]:
    """Return which of N texts are in a fold, [N]: the run of this fold does not train on them."""
    which, of = parse_fold(fold)
    digests = (hashlib.sha256(text.encode(errors="surrogatepass")).digest() for text in split.texts)
    return np.fromiter((int.from_bytes(digest[:8]) % of == which - 1 for digest in digests), bool, len(split))
