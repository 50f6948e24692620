"""Any file of labelled texts, for measuring: TSV as the data sets have it, or CSV with the labels' names."""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .data import DataError, Split, load_split


def load_labelled(path: Path, labels: Sequence[str]) -> Split:
    """Read *path*.

    A CSV file has a header with the columns `text` and `labels`; a text's labels are names, with commas, semicolons
    or bars between them, or none at all. Everything else is read as TSV: see `data.load_split`.

    Args:
        labels: of the model that is to be measured, in its order.

    Raises:
        DataError: the file is missing or empty, or a line is not in the format (says which).
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    split = _csv(path, tuple(labels)) if path.suffix.lower() == ".csv" else load_split(path)
    if not len(split):
        raise DataError(f"{path} holds no texts")
    return split


def _csv(path: Path, labels: tuple[str, ...]) -> Split:
    raw = path.read_bytes()
    try:
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        if not {"text", "labels"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path}: the first line has to name the columns text and labels")
        texts, given = [], []
        for row in rows:
            if row["text"] is None or row["labels"] is None:
                raise DataError(f"{path}, line {rows.line_num}: it has fewer columns than the header")
            names = [name for name in re.split(r"[,;|]\s*", row["labels"].strip()) if name]
            unknown = [name for name in names if name not in labels]
            if unknown:
                raise DataError(f"{path}, line {rows.line_num}: {unknown[0]!r} is none of the model's labels")
            texts.append(row["text"])
            given.append([labels.index(name) for name in names])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not CSV in UTF-8: {error}") from error
    targets_NK = np.zeros((len(texts), len(labels)), dtype=np.float32)
    for row_index, columns in enumerate(given):
        targets_NK[row_index, columns] = 1.0
    return Split(tuple(texts), targets_NK, labels, hashlib.sha256(raw).hexdigest())
