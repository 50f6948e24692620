"""A table of labelled texts: CSV, TSV, JSON Lines, Parquet, or one split of a `datasets` data set.

The columns are `text` and `labels` (or `label`), or those that the caller names. Other columns are ignored. A text can
have no label. `cells.py` reads the cells, `label_cells.py` the labels in them.

A TSV file without a header is in GoEmotions' own format: text, comma-separated label ids, and other columns. Quotes are
ordinary characters, and each line is a row.

The names of the labels and their order come from the columns, if there is one for each label; from the column's
ClassLabel; or from `labels.txt` (or `emotions.txt`) next to the file, one name per line in id order. A TSV file of ids
without such a file has GoEmotions' labels. Otherwise the labels are the names that occur, sorted.
"""

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotag_schemas.labels import LABELS
from emotag_training.errors import DataError

from .cells import NAMED, Cells, list_arrow_cells, read_delimited, read_json_lines, read_parquet
from .columns import LIST_COLUMNS, TEXT, Columns
from .label_cells import find_name, is_indicator, read_indicators, read_lists, shorten
from .split import Split

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("tsv", "csv", "jsonl", "parquet")
NAMES_FILES = ("labels.txt", "emotions.txt")
SAVE = "save the table as .csv or .tsv in UTF-8, or as .parquet"
DEFAULT = Columns()


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

    def take(self, rows: Sequence[int]) -> "Labelled":
        """Return only these rows, in this order, as a table of its own that declares the same labels."""
        part = replace(
            self,
            texts=tuple(self.texts[row] for row in rows),
            given=tuple(self.given[row] for row in rows),
            places=tuple(self.places[row] for row in rows),
            labels=self.names,
        )
        return replace(part, sha256=hash_content(part))

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
                    known = f"{', '.join(map(shorten, names[:30]))}{', ...' if len(names) > 30 else ''}"
                    raise DataError(
                        f"{self.source}, {self.places[row]}: {shorten(name)} is not one of the labels {known}"
                    )
                targets_NK[row, column_of[name]] = 1.0
        return Split(self.texts, targets_NK, names, self.sha256)


def load_split(path: Path, labels: Sequence[str] | None = None, columns: Columns = DEFAULT) -> Split:
    """Read one file as a split: see `read_labelled` and `Labelled.split`."""
    return read_labelled(path, columns).split(labels)


def read_labelled(path: Path, columns: Columns = DEFAULT) -> Labelled:
    """Read one file by its extension; a file with another extension is read as TSV.

    Raises:
        DataError: the file is missing or empty, lacks a column, or a row is not in the format (names the row).
    """
    return require_texts(read_rows(path, columns))


def read_rows(path: Path, columns: Columns = DEFAULT) -> Labelled:
    """Read one file as `read_labelled` does, and accept empty texts."""
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'file not found'}")
    if path.suffix and path.suffix[1:].lower() not in FORMATS:
        raise DataError(f"{path}: the format {path.suffix} is unknown; {SAVE}")
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path, raw)
        names = _find_class_names(table, columns, path.parent)
        return _interpret(list_arrow_cells(table, str(path)), columns, names, sha256)
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_explain_encoding(path, raw, error)}") from error
    declared = _read_names_beside(path.parent)
    match path.suffix.lower():
        case ".csv":
            cells = read_delimited(path, content, ",")
        case ".jsonl":
            cells = read_json_lines(path, content)
        case _ if columns.are_default and not _is_header(content.partition("\n")[0]):
            declared = declared or LABELS
            return _build_labelled(str(path), _read_without_header(path, content, declared), declared, sha256)
        case _:
            cells = read_delimited(path, content, "\t")
    return _interpret(cells, columns, declared, sha256)


def read_arrow(table: "pa.Table", source: str, columns: Columns = DEFAULT, *, beside: Path | None = None) -> Labelled:
    """Read an Arrow table, the form of `datasets` data sets; its hash is that of its content.

    Args:
        source: the data set, for errors.
        beside: the folder that can contain `labels.txt`, for a table without a ClassLabel.

    Raises:
        DataError: the table lacks a column or has no rows, or a row is not in the format (names the row).
    """
    made = _interpret(list_arrow_cells(table, source), columns, _find_class_names(table, columns, beside), "")
    return require_texts(replace(made, sha256=hash_content(made)))


def require_texts(table: Labelled) -> Labelled:
    """Return *table* if no text is empty: a worker would dead-letter such a text.

    Raises:
        DataError: a text is empty (names its row).
    """
    for place, text in zip(table.places, table.texts, strict=True):
        if not text.strip():
            raise DataError(f"{table.source}, {place}: the text is empty; leave the row out")
    return table


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


def _interpret(cells: Cells, columns: Columns, declared: tuple[str, ...] | None, sha256: str) -> Labelled:
    """Return the texts and labels that are in *columns*."""
    labels = columns.find_labels(cells.header)
    if not cells.header or columns.list_missing(cells.header):
        raise DataError(f"{cells.source}: {_explain_missing(cells, columns)}")
    if twice := [name for name in (columns.text, *labels) if cells.header.count(name) > 1]:
        raise DataError(f"{cells.source}: two columns have the name {twice[0]}; rename one")
    texts = cells.column(columns.text)
    for place, text in zip(cells.places, texts, strict=True):
        if not isinstance(text, str):
            raise DataError(f"{cells.source}, {place}: text has the type {type(text).__name__}; use a string")
    if len(labels) > 1 or (columns.labels and not declared and is_indicator(cells.column(labels[0]))):
        given, declared = read_indicators(cells, labels), labels
    else:
        given = read_lists(cells, labels[0], declared)
    return _build_labelled(cells.source, zip(cells.places, texts, given, strict=True), declared, sha256)


def _explain_missing(cells: Cells, columns: Columns) -> str:
    """Return which columns are missing, and how to name them."""
    if not cells.header:
        return "contains no texts"
    hint = "or name yours when you fit or audit: --text-column NAME, --label-columns NAME,NAME"
    if not columns.labels and (indicators := _list_indicators(cells)):
        hint += f" (only 0 and 1 are in --label-columns {','.join(indicators)})"
    if not cells.delimiter:
        return f"its columns are {', '.join(cells.header)}; it needs {columns.describe()}; rename them, {hint}"
    if ";" in cells.header[0] and columns.text in cells.header[0].split(";"):
        return f"its columns seem to be divided by semicolons; save it with {NAMED[cells.delimiter]} between them"
    # Without a header, the first line is a text: never show it.
    return (
        f"the first line names no column {' or '.join(columns.list_missing(cells.header))} (columns:"
        f" {len(cells.header)}); name the columns {columns.describe()} there, with {NAMED[cells.delimiter]} between"
        f" them, {hint}"
    )


def _list_indicators(cells: Cells) -> list[str]:
    """Return the columns that have nothing but 0 and 1."""
    found = []
    for name in cells.header:
        try:
            if name.strip() not in ("0", "1") and is_indicator(cells.column(name)):
                found.append(name)
        except DataError:  # a row lacks the column
            continue
    return found


def _build_labelled(source: str, rows: Iterable[Row], declared: tuple[str, ...] | None, sha256: str) -> Labelled:
    found = list(rows)
    if not found:
        raise DataError(f"{source} contains no texts")
    places, texts, given = zip(*found, strict=True)
    return Labelled(source, texts, given, places, declared, sha256)


def _explain_encoding(path: Path, raw: bytes, error: UnicodeDecodeError) -> str:
    """Return why a file is not text in UTF-8, and what to do."""
    if not path.suffix:
        return f"the format of a file without extension is unknown; {SAVE}"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"it is in UTF-16, not in UTF-8; {SAVE}"
    return f"not in UTF-8: {error}; {SAVE}"


def _is_header(line: str) -> bool:
    cells = [cell.strip('"') for cell in line.strip("\r").split("\t")]
    return TEXT in cells and any(name in cells for name in LIST_COLUMNS)


def _read_without_header(path: Path, content: str, labels: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of GoEmotions' own format: text, tab, label ids."""
    lines = content.removesuffix("\n").split("\n") if content else []  # splitlines would also split at U+2028
    for number, line in enumerate(lines, start=1):
        try:
            text, ids, *_ = line.removesuffix("\r").split("\t")
            names = tuple(find_name(int(label), labels) for label in ids.split(","))
        except ValueError as error:
            detail = f" ({error})" if str(error).startswith("label ") else ""
            raise DataError(
                f"{path}, line {number}: not text, tab, label ids below {len(labels)}{detail}; if the labels are names,"
                " name the columns text and labels in the first line"
            ) from error
        yield f"line {number}", text, names


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


def _find_class_names(table: "pa.Table", columns: Columns, beside: Path | None) -> tuple[str, ...] | None:
    """Return the names of the column's ClassLabel, or those in `labels.txt`; None without both."""
    if b"huggingface" in (table.schema.metadata or {}):
        import datasets  # takes seconds

        features = datasets.Features.from_arrow_schema(table.schema)
        feature = next((features[name] for name in columns.find_labels(table.column_names)), None)
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, datasets.ClassLabel):
            return tuple(inner.names)
    return _read_names_beside(beside) if beside else None
