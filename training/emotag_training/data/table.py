"""A table of labelled texts: TSV, CSV, Parquet, or one split of a `datasets` data set.

    text, and labels (or label)   names with commas, semicolons or bars between them, or a list of names or of ids

A CSV file has a header that names the columns; a TSV file can have one. With a header, both are quoted by RFC 4180: a
cell that begins with a double quote ends with one, and double quotes within it are doubled. No cell of a TSV file may
contain both a tab and a line break, because a quote that is not closed makes such cells. In a CSV file, texts can
contain commas and line breaks, so a quote that a later row happens to close is not noticed.

A TSV file without a header is in GoEmotions' own format: text, comma-separated label ids, and other columns. Quotes are
ordinary characters, and each line is a row. Parquet and `datasets` have lists, single ids, or names in one text as in
CSV. Other columns are ignored. A text can have no label.

Names in one cell may have spaces around them, and empty names are ignored: `joy , sad,` is joy and sad.

The names of the labels and their order come from the column's ClassLabel, or from `labels.txt` (or `emotions.txt`) next
to the file, one name per line in id order. A TSV file of ids without such a file has GoEmotions' labels. Otherwise the
labels are the names that occur, sorted.
"""

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotag_schemas.labels import LABELS
from emotag_training.errors import DataError

from .split import Split

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("tsv", "csv", "parquet")
NAMES_FILES = ("labels.txt", "emotions.txt")
TEXT, COLUMNS = "text", ("labels", "label")
TAKES = "use a list of names or ids, one id, or names with commas between them"
QUOTING = "end a cell that begins with a double quote with one, and double the quotes within it"
SAVE = "save the table as .csv or .tsv in UTF-8, or as .parquet"
NAMED = {",": "a comma", "\t": "a tab"}

_DELIMITER = re.compile(r"[,;|]")


@dataclass(frozen=True)
class Labelled:
    """The content of a table: every text with the names of its labels.

    Attributes:
        source: the file or data set, for errors.
        texts: N texts.
        given: the label names of each text.
        places: the place of each text in the file, such as `line 2`.
        labels: the K names in order; None if nothing names them.
        sha256: of the file; of a split of a data set, the result of `hash_content`.
    """

    source: str
    texts: tuple[str, ...]
    given: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]
    labels: tuple[str, ...] | None
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the labels: the declared ones, or those that occur."""
        return self.labels or tuple(sorted({name for row in self.given for name in row}))

    def split(self, labels: Sequence[str] | None = None) -> Split:
        """Return the texts with their targets.

        Args:
            labels: the order of the columns, from a model or another split. A table that declares other labels keeps
                its own, and the caller compares the two.

        Raises:
            DataError: a text has another label.
        """
        own = self.labels is not None and set(labels or ()) != set(self.labels)
        names = self.names if own or labels is None else tuple(labels)
        if not names:
            raise DataError(f"{self.source}: no text has a label")
        column_of = {name: column for column, name in enumerate(names)}
        targets_NK = np.zeros((len(self.texts), len(names)), dtype=np.float32)
        for row, given in enumerate(self.given):
            for name in given:
                if name not in column_of:
                    known = f"{', '.join(map(repr, names[:30]))}{', ...' if len(names) > 30 else ''}"
                    raise DataError(f"{self.source}, {self.places[row]}: {name!r} is not one of the labels {known}")
                targets_NK[row, column_of[name]] = 1.0
        return Split(self.texts, targets_NK, names, self.sha256)


def load_split(path: Path, labels: Sequence[str] | None = None) -> Split:
    """Read one file as a split: see `read_labelled` and `Labelled.split`."""
    return read_labelled(path).split(labels)


def read_labelled(path: Path) -> Labelled:
    """Read one file by its extension; a file with another extension is read as TSV.

    Raises:
        DataError: the file is missing or empty, or a row is not in the format (names the row).
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'file not found'}")
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() == ".parquet":
        return read_arrow(_read_parquet(path, raw), str(path), beside=path.parent, sha256=sha256)
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_explain_encoding(path, raw, error)}") from error
    declared = _read_names_beside(path.parent)
    if path.suffix.lower() == ".csv":
        rows = _read_delimited(path, content, ",")
    elif _is_header(content.partition("\n")[0]):
        rows = _read_delimited(path, content, "\t")
    else:
        declared = declared or LABELS
        rows = _read_without_header(path, content, declared)
    return _build_labelled(str(path), rows, declared, sha256)


def read_arrow(table: "pa.Table", source: str, *, beside: Path | None = None, sha256: str = "") -> Labelled:
    """Read an Arrow table, the form of Parquet files and `datasets` data sets.

    Args:
        source: the file or data set, for errors.
        beside: the folder that can contain `labels.txt`, for a table without a ClassLabel.
        sha256: of the file; empty: use the hash of the content.

    Raises:
        DataError: the table lacks a column or has no rows, or a row is not in the format (names the row).
    """
    column = next((name for name in COLUMNS if name in table.column_names), None)
    if column is None or TEXT not in table.column_names:
        raise DataError(
            f"{source}: its columns are {', '.join(table.column_names)}; it needs text, and labels (or label)"
        )
    declared = _read_class_names(table.schema, column) or (_read_names_beside(beside) if beside else None)
    cells = zip(table.column(TEXT).to_pylist(), table.column(column).to_pylist(), strict=True)
    made = _build_labelled(source, _read_cells(source, cells, declared), declared, sha256)
    return made if sha256 else replace(made, sha256=hash_content(made))


def hash_content(table: Labelled) -> str:
    """Return a hash of the texts and labels that does not depend on how a data set is stored.

    The hashed bytes are lines of JSON in UTF-8: first the names of the labels, then one line per text:
    `["text", ["label", "other label"]]`.
    """
    digest = hashlib.sha256()
    for line in (table.names, *zip(table.texts, table.given, strict=True)):
        digest.update(
            json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        )
    return digest.hexdigest()


Row = tuple[str, str, tuple[str, ...]]
"""The place of a text in its file, the text, and the names of its labels."""


def _build_labelled(source: str, rows: Iterator[Row], declared: tuple[str, ...] | None, sha256: str) -> Labelled:
    found = list(rows)
    if not found:
        raise DataError(f"{source} contains no texts")
    places, texts, given = zip(*found, strict=True)
    blank = next((place for place, text in zip(places, texts, strict=True) if not text.strip()), None)
    if blank is not None:  # a worker would dead-letter it
        raise DataError(f"{source}, {blank}: the text is empty; leave the row out")
    return Labelled(source, texts, given, places, declared, sha256)


def _explain_encoding(path: Path, raw: bytes, error: UnicodeDecodeError) -> str:
    """Return why a file is not text in UTF-8, and what to do."""
    if path.suffix[1:].lower() not in FORMATS:
        return f"the format {path.suffix or 'of a file without extension'} is unknown; {SAVE}"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"it is in UTF-16, not in UTF-8; {SAVE}"
    return f"not in UTF-8: {error}; {SAVE}"


def _is_header(line: str) -> bool:
    cells = [cell.strip('"') for cell in line.strip("\r").split("\t")]
    return TEXT in cells and any(name in cells for name in COLUMNS)


def _read_without_header(path: Path, content: str, labels: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of GoEmotions' own format: text, tab, label ids."""
    lines = content.removesuffix("\n").split("\n") if content else []  # splitlines would also split at U+2028
    for number, line in enumerate(lines, start=1):
        try:
            text, ids, *_ = line.removesuffix("\r").split("\t")
            names = tuple(_find_name(int(label), labels) for label in ids.split(","))
        except ValueError as error:
            detail = f" ({error})" if str(error).startswith("label ") else ""
            raise DataError(
                f"{path}, line {number}: not text, tab, label ids below {len(labels)}{detail}; if the labels are names,"
                " name the columns text and labels in the first line"
            ) from error
        yield f"line {number}", text, names


def _read_delimited(path: Path, content: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows below a header, each with its first line."""
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        header = next(rows, [])
        column = next((name for name in COLUMNS if name in header), None)
        if column is None or TEXT not in header:
            # Without a header, the first line is a text: never show it.
            absent = [*([] if TEXT in header else [TEXT]), *([] if column else COLUMNS)]
            raise DataError(
                f"{path}: the first line names no column {' or '.join(absent)} (columns: {len(header)}); name the"
                f" columns text and labels (or label) there, with {NAMED[delimiter]} between them"
            )
        column_of = {name: place for place, name in enumerate(header)}
        text, labels = column_of[TEXT], column_of[column]
        number = rows.line_num + 1
        for cells in rows:
            if cells:  # empty lines are not rows
                if reason := _explain_bad_row(cells, len(header), max(text, labels), delimiter):
                    raise DataError(f"{path}, line {number}: {reason}")
                yield f"line {number}", cells[text], _split_names(cells[labels])
            number = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: not CSV: {error}; {QUOTING}") from error


def _explain_bad_row(cells: Sequence[str], columns: int, last_read: int, delimiter: str) -> str | None:
    """Return why the cells are not a row of a table with that many columns; None if they are."""
    if len(cells) > columns:
        return f"it has more columns than the header; put a text that contains {NAMED[delimiter]} into double quotes"
    if len(cells) <= last_read:
        return "it has fewer columns than the header"
    # A quote that is not closed has swallowed further rows.
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return f"a cell contains a tab and a line break: is a double quote not closed? {QUOTING}, or use CSV"
    return None


def _read_parquet(path: Path, raw: bytes) -> "pa.Table":
    import pyarrow as pa  # takes a second
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not Parquet: {error}") from error


def _read_cells(source: str, cells: Iterator[tuple[Any, Any]], declared: tuple[str, ...] | None) -> Iterator[Row]:
    for number, (text, labels) in enumerate(cells, start=1):
        if not isinstance(text, str):
            raise DataError(f"{source}, row {number}: text has the type {type(text).__name__}; use a string")
        try:
            yield f"row {number}", text, _read_names(labels, declared)
        except ValueError as error:
            raise DataError(f"{source}, row {number}: {error}") from error


def _read_names(cell: Any, declared: tuple[str, ...] | None) -> tuple[str, ...]:
    if isinstance(cell, str):
        return _split_names(cell)
    found = []
    for label in cell if isinstance(cell, list) else [cell]:
        if isinstance(label, str):
            found.append(label)
        elif isinstance(label, int) and not isinstance(label, bool):
            found.append(_find_name(label, declared))
        else:
            raise ValueError(f"labels is {cell!r:.40}; {TAKES}")
    return tuple(found)


def _split_names(cell: str) -> tuple[str, ...]:
    return tuple(name for part in _DELIMITER.split(cell) if (name := part.strip()))


def _find_name(label: int, names: tuple[str, ...] | None) -> str:
    if names is None:
        raise ValueError(f"label {label} is an id without a name; add labels.txt, or use a ClassLabel")
    if not 0 <= label < len(names):
        raise ValueError(f"label {label} is not an id from 0 to {len(names) - 1}")
    return names[label]


def _read_names_beside(folder: Path) -> tuple[str, ...] | None:
    """Return the names in `labels.txt` or `emotions.txt` of the folder; None without such a file."""
    path = next((folder / name for name in NAMES_FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    names = tuple(line for line in lines if line)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise DataError(
            f"{path}: {f'{twice[0]!r} is listed twice' if twice else 'empty'}; write one label name per line"
        )
    return names


def _read_class_names(schema: "pa.Schema", column: str) -> tuple[str, ...] | None:
    """Return the names of the column's ClassLabel; None if `datasets` did not write the table."""
    if b"huggingface" not in (schema.metadata or {}):
        return None
    import datasets  # takes seconds

    feature = datasets.Features.from_arrow_schema(schema)[column]
    inner = getattr(feature, "feature", feature)
    return tuple(inner.names) if isinstance(inner, datasets.ClassLabel) else None
