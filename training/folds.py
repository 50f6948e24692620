"""Which training texts a run leaves out, so that it can speak of texts that it has not seen.

A text's fold follows from its words alone: every row that repeats it is in the same one, in every run and on every
machine, and nothing has to be kept to know it again.
"""

import hashlib
import re

import numpy as np
import numpy.typing as npt

from .data import Split


def parse(fold: str) -> tuple[int, int]:
    """`2/5` as 2 and 5.

    Raises:
        ValueError: it is no such fold.
    """
    found = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", fold)
    if not found or not int(found[1]) <= int(found[2]) >= 2:
        raise ValueError(f"{fold!r} is no fold: it takes one like 2/5, the second of five")
    return int(found[1]), int(found[2])


def left_out(split: Split, fold: str) -> npt.NDArray[np.bool_]:
    """Which of N texts are in a fold, [N]: those that its run does not learn from."""
    which, of = parse(fold)
    digests = (hashlib.sha256(text.encode()).digest() for text in split.texts)
    return np.fromiter((int.from_bytes(digest[:8]) % of == which - 1 for digest in digests), bool, len(split))
