"""A table of labelled texts, whatever it was written as: TSV, CSV, Parquet, or one split of a `datasets` data set.

    text, and labels (or label)   names with commas, semicolons or bars between them, or a list of names or of ids

CSV has a header that names the columns; so may TSV. Both are quoted as RFC 4180 has it: a cell that begins with a
double quote ends with one, and those within it are doubled. In a TSV no cell holds both a tab and a line break: so look
rows that a quote which was not closed has swallowed. In a CSV, where texts do have both commas and line breaks, a quote
that a later row happens to close is not noticed.

Without a header a TSV is GoEmotions' own format: text, comma-separated label ids, and whatever follows; a quote is a
letter like any other, and a row ends where its line does. Parquet and `datasets` have lists, single ids, or texts as
CSV has them. Other columns are not read; a text may have no label at all.

Names that share a cell may have spaces around them, and nothing between two delimiters is no name: `joy , sad,` are joy
and sad.

The labels' names and their order come from the column's ClassLabel, else from `labels.txt` (or `emotions.txt`) beside
the file, one a line in id order; else, for a TSV of ids, they are GoEmotions' own. Where nothing names them they are
those that occur, sorted.
"""

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

from schemas.labels import LABELS

from .data import DataError, Split

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("tsv", "csv", "parquet")
NAMES_FILES = ("labels.txt", "emotions.txt")
TEXT, COLUMNS = "text", ("labels", "label")
TAKES = "it takes a list of names or ids, one id, or names with commas between them"
QUOTING = "a cell that begins with a double quote ends with one, and those within it are doubled"
NAMED = {",": "a comma", "\t": "a tab"}

_DELIMITER = re.compile(r"[,;|]")


@dataclass(frozen=True)
class Labelled:
    """What was read: every text with the names of its labels.

    Attributes:
        source: the file, or what else it was read from; errors name it.
        texts: N texts.
        given: the names of each text's labels.
        places: where each text stands: `line 2`.
        labels: the K names in order, where something names them.
        sha256: of the file; for a split of a data set see `content_sha256`.
    """

    source: str
    texts: tuple[str, ...]
    given: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]
    labels: tuple[str, ...] | None
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names: as something names them, else those that occur."""
        return self.labels or tuple(sorted({name for row in self.given for name in row}))

    def split(self, labels: Sequence[str] | None = None) -> Split:
        """The texts with their targets.

        Args:
            labels: the order of the columns, a model's or another split's. Where the table is of other labels by its
                own account, it keeps them, for whoever compares the two to refuse.

        Raises:
            DataError: a text has a label that is none of these.
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
                    raise DataError(f"{self.source}, {self.places[row]}: {name!r} is none of the labels: {known}")
                targets_NK[row, column_of[name]] = 1.0
        return Split(self.texts, targets_NK, names, self.sha256)


def load_split(path: Path, labels: Sequence[str] | None = None) -> Split:
    """Read one file as a split: see `read_labelled` and `Labelled.split`."""
    return read_labelled(path).split(labels)


def read_labelled(path: Path) -> Labelled:
    """Read one file, by what its name ends with; one that ends otherwise is read as TSV.

    Raises:
        DataError: the file is missing or empty, or a row is not in the format (says which, and what it takes).
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() == ".parquet":
        return from_arrow(_parquet(path, raw), str(path), beside=path.parent, sha256=sha256)
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not in UTF-8: {error}") from error
    declared = _names_beside(path.parent)
    if path.suffix.lower() == ".csv":
        rows = _delimited(path, content, ",")
    elif _is_header(content.partition("\n")[0]):
        rows = _delimited(path, content, "\t")
    else:
        declared = declared or LABELS
        rows = _without_header(path, content, declared)
    return _labelled(str(path), rows, declared, sha256)


def from_arrow(table: "pa.Table", source: str, *, beside: Path | None = None, sha256: str = "") -> Labelled:
    """Read an Arrow table, as Parquet files and `datasets` data sets are.

    Args:
        source: what it was read from.
        beside: the folder that may hold `labels.txt`, for a table whose column does not name its labels itself.
        sha256: of the file; of the content where there is none.

    Raises:
        DataError: it has no such columns, or no rows, or one is not in the format (says which, and what it takes).
    """
    column = next((name for name in COLUMNS if name in table.column_names), None)
    if column is None or TEXT not in table.column_names:
        raise DataError(
            f"{source}: it needs the columns text and labels (or label), and has {', '.join(table.column_names)}"
        )
    declared = _class_names(table.schema, column) or (_names_beside(beside) if beside else None)
    cells = zip(table.column(TEXT).to_pylist(), table.column(column).to_pylist(), strict=True)
    made = _labelled(source, _cells(source, cells, declared), declared, sha256)
    return made if sha256 else replace(made, sha256=content_sha256(made))


def content_sha256(table: Labelled) -> str:
    """A hash of what is learnt from: the same however a data set is stored, in whatever pieces, by whatever version.

    Of one line of JSON for each text, in UTF-8: `["text", ["label", "other label"]]`, after one with the labels' names.
    """
    digest = hashlib.sha256()
    for line in (table.names, *zip(table.texts, table.given, strict=True)):
        digest.update(
            json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        )
    return digest.hexdigest()


Row = tuple[str, str, tuple[str, ...]]
"""Where a text stands, the text, and its labels' names."""


def _labelled(source: str, rows: Iterator[Row], declared: tuple[str, ...] | None, sha256: str) -> Labelled:
    found = list(rows)
    if not found:
        raise DataError(f"{source} holds no texts")
    places, texts, given = zip(*found, strict=True)
    blank = next((place for place, text in zip(places, texts, strict=True) if not text.strip()), None)
    if blank is not None:  # which a worker dead-letters
        raise DataError(f"{source}, {blank}: the text is empty; leave the row out")
    return Labelled(source, texts, given, places, declared, sha256)


def _is_header(line: str) -> bool:
    cells = [cell.strip('"') for cell in line.strip("\r").split("\t")]
    return TEXT in cells and any(name in cells for name in COLUMNS)


def _without_header(path: Path, content: str, labels: tuple[str, ...]) -> Iterator[Row]:
    """GoEmotions' own: text, tab, label ids."""
    lines = content.removesuffix("\n").split("\n") if content else []  # splitlines would end one at U+2028 too
    for number, line in enumerate(lines, start=1):
        try:
            text, ids, *_ = line.removesuffix("\r").split("\t")
            names = tuple(_by_id(int(label), labels) for label in ids.split(","))
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: not text, tab, label ids below {len(labels)} (and the first line does not name"
                f" the columns text and labels, as it does where labels are names): {error}"
            ) from error
        yield f"line {number}", text, names


def _delimited(path: Path, content: str, delimiter: str) -> Iterator[Row]:
    """Rows below a header; each stands where it begins."""
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        header = next(rows, [])
        column = next((name for name in COLUMNS if name in header), None)
        if column is None or TEXT not in header:
            raise DataError(f"{path}: the first line has to name the columns text and labels (or label)")
        column_of = {name: place for place, name in enumerate(header)}
        text, labels = column_of[TEXT], column_of[column]
        number = rows.line_num + 1
        for cells in rows:
            if cells:  # an empty line is no row
                if why := _not_a_row(cells, len(header), max(text, labels), delimiter):
                    raise DataError(f"{path}, line {number}: {why}")
                yield f"line {number}", cells[text], _split_names(cells[labels])
            number = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: not CSV: {error}; {QUOTING}") from error


def _not_a_row(cells: Sequence[str], columns: int, last_read: int, delimiter: str) -> str | None:
    """Why the cells are no row of a table with so many columns, where they are none."""
    if len(cells) > columns:
        return f"it has more columns than the header; a text with {NAMED[delimiter]} in it takes double quotes"
    if len(cells) <= last_read:
        return "it has fewer columns than the header"
    # A row that a quote swallowed has brought both along.
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return f"a cell has a tab and a line break in it: is a double quote not closed? {QUOTING}; CSV takes both"
    return None


def _parquet(path: Path, raw: bytes) -> "pa.Table":
    import pyarrow as pa  # a second, and only for who has such a file
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not Parquet: {error}") from error


def _cells(source: str, cells: Iterator[tuple[Any, Any]], declared: tuple[str, ...] | None) -> Iterator[Row]:
    for number, (text, labels) in enumerate(cells, start=1):
        if not isinstance(text, str):
            raise DataError(f"{source}, row {number}: text is {text!r:.40}; it takes a string")
        try:
            yield f"row {number}", text, _names(labels, declared)
        except ValueError as error:
            raise DataError(f"{source}, row {number}: {error}") from error


def _names(cell: Any, declared: tuple[str, ...] | None) -> tuple[str, ...]:
    if isinstance(cell, str):
        return _split_names(cell)
    found = []
    for label in cell if isinstance(cell, list) else [cell]:
        if isinstance(label, str):
            found.append(label)
        elif isinstance(label, int) and not isinstance(label, bool):
            found.append(_by_id(label, declared))
        else:
            raise ValueError(f"labels is {cell!r:.40}; {TAKES}")
    return tuple(found)


def _split_names(cell: str) -> tuple[str, ...]:
    return tuple(name for part in _DELIMITER.split(cell) if (name := part.strip()))


def _by_id(label: int, names: tuple[str, ...] | None) -> str:
    if names is None:
        raise ValueError(f"label {label} is an id, and nothing names it; it takes a ClassLabel or a labels.txt")
    if not 0 <= label < len(names):
        raise ValueError(f"label {label} is no id within [0, {len(names) - 1}]")
    return names[label]


def _names_beside(folder: Path) -> tuple[str, ...] | None:
    """What `labels.txt` or `emotions.txt` in the folder says, where there is one."""
    path = next((folder / name for name in NAMES_FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    names = tuple(line for line in lines if line)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise DataError(f"{path}: {f'{twice[0]!r} stands twice' if twice else 'empty'}; it takes a label's name a line")
    return names


def _class_names(schema: "pa.Schema", column: str) -> tuple[str, ...] | None:
    """The names of the column's ClassLabel, where `datasets` wrote the table and it has one."""
    if b"huggingface" not in (schema.metadata or {}):
        return None
    import datasets  # seconds, and only for who has such a table

    feature = datasets.Features.from_arrow_schema(schema)[column]
    inner = getattr(feature, "feature", feature)
    return tuple(inner.names) if isinstance(inner, datasets.ClassLabel) else None
